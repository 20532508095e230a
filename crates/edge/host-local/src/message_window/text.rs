//! What may be shown, and where lines end. Pure.

/// Characters of a title, and of a message.
const TITLE_MAX: usize = 256;
const TEXT_MAX: usize = 4096;
/// Lines that are drawn; an image of a message is never larger than this allows.
const LINES_MAX: usize = 400;
const TAB: &str = "    ";

/// A title fit to be shown: one line.
pub(super) fn title(text: &str) -> String {
    text.chars()
        .take(TITLE_MAX)
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| shown(*c))
        .collect()
}

/// A message fit to be shown: line ends are `\n`, tabs are spaces, no other control characters.
pub(super) fn body(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars().take(TEXT_MAX) {
        match c {
            '\n' if before == '\r' => {}
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\t' => out.push_str(TAB),
            c if shown(c) => out.push(c),
            _ => {}
        }
        before = c;
    }
    out.trim_end().to_owned()
}

/// Neither a control character nor one that turns the direction of the text around.
fn shown(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Breaks text into lines no wider than `width`, between words where it can. `advance` measures.
pub(super) fn wrap(text: &str, width: f32, advance: impl Fn(char) -> f32) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let (mut line, mut used) = (String::new(), 0.0);
        for word in paragraph.split_inclusive(' ') {
            let long: f32 = word.trim_end().chars().map(&advance).sum();
            if used > 0.0 && used + long > width {
                lines.push(std::mem::take(&mut line));
                used = 0.0;
            }
            for c in word.chars() {
                let step = advance(c);
                // A word wider than a line is broken anywhere; a space that hangs over is not seen.
                if used > 0.0 && used + step > width && c != ' ' {
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                }
                line.push(c);
                used += step;
            }
        }
        lines.push(line);
        if lines.len() > LINES_MAX {
            lines.truncate(LINES_MAX);
            lines.push("…".to_owned());
            break;
        }
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(text: &str, width: f32) -> Vec<String> {
        wrap(text, width, |_| 1.0)
    }

    #[test]
    fn control_characters_do_not_reach_the_screen() {
        assert_eq!(title("a\r\nb\u{1b}[1mc\u{202e}d"), "a  b[1mcd");
        assert_eq!(body("a\r\nb\rc\td\u{7}\u{85}\u{2067}e\n\n"), "a\nb\nc    de");
    }

    #[test]
    fn long_input_is_cut() {
        assert_eq!(title(&"ö".repeat(999)).chars().count(), TITLE_MAX);
        assert_eq!(body(&"ö".repeat(9999)).chars().count(), TEXT_MAX);
        assert_eq!(lines(&"x\n".repeat(4096), 9.0).len(), LINES_MAX + 1);
    }

    #[test]
    fn lines_end_between_words_where_they_can() {
        assert_eq!(lines("one two three", 7.0), ["one two", "three"]);
        assert_eq!(lines("a\n\nb", 7.0), ["a", "", "b"]);
        assert_eq!(lines("abcdefghij", 4.0), ["abcd", "efgh", "ij"]);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_allowed_and_nothing_is_lost(text in "[a-zö ]{0,200}", width in 1u8..40) {
            let lines = lines(&text, f32::from(width));
            prop_assert!(lines.iter().all(|l| l.chars().count() <= usize::from(width)));
            let letters = |t: &str| t.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }

        #[test]
        fn any_text_can_be_shown(text: String) {
            prop_assert!(!body(&text).chars().any(|c| c.is_control() && c != '\n'));
            prop_assert!(!title(&text).chars().any(char::is_control));
        }
    }
}
