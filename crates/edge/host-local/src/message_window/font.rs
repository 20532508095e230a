//! Fonts from the system's font directory: one that reads well, and others for what it does not have.
//! Characters are placed one after the other: no ligatures, no right-to-left scripts.

use ab_glyph::{Font as _, FontVec, Glyph, PxScale, ScaleFont as _};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

const DIRECTORY: &str = "/usr/share/fonts";
const REGULAR: &str = "DejaVuSans.ttf";
const BOLD: &str = "DejaVuSans-Bold.ttf";
/// Fonts looked at, directory levels, and bytes of a font file.
const FILES_MAX: usize = 200;
const DEPTH_MAX: usize = 4;
const FONT_MAX: u64 = 64 << 20;

/// How a text is set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// The loaded fonts.
pub(super) struct Fonts {
    regular: FontVec,
    bold: Option<FontVec>,
    files: Vec<PathBuf>,
    /// Loaded when a character is missing for the first time.
    others: OnceCell<Vec<FontVec>>,
}

impl Fonts {
    /// Loads the fonts; `None` when there is none at all.
    pub(super) fn load() -> Option<Self> {
        let mut files = Vec::new();
        find(Path::new(DIRECTORY), DEPTH_MAX, &mut files);
        let named = |name: &str| files.iter().find(|f| f.file_name().is_some_and(|n| n == name));
        let regular = named(REGULAR).and_then(|f| open(f)).or_else(|| files.iter().find_map(|f| open(f)))?;
        let bold = named(BOLD).and_then(|f| open(f));
        Some(Self { regular, bold, files, others: OnceCell::new() })
    }

    /// How far a character moves on.
    pub(super) fn advance(&self, c: char, weight: Weight, size: f32) -> f32 {
        let font = self.font(c, weight);
        font.as_scaled(PxScale::from(size)).h_advance(font.glyph_id(c))
    }

    pub(super) fn width(&self, text: &str, weight: Weight, size: f32) -> f32 {
        text.chars().map(|c| self.advance(c, weight, size)).sum()
    }

    /// Calls `dot(x, y, coverage)` for every pixel of a text whose base line starts at `(x, y)`.
    pub(super) fn draw(
        &self,
        text: &str,
        weight: Weight,
        size: f32,
        (mut x, y): (f32, f32),
        mut dot: impl FnMut(i32, i32, f32),
    ) {
        for c in text.chars() {
            let font = self.font(c, weight);
            let place = ab_glyph::point(x, y);
            let glyph = Glyph { id: font.glyph_id(c), scale: PxScale::from(size), position: place };
            if let Some(outline) = font.outline_glyph(glyph) {
                let bounds = outline.px_bounds();
                #[expect(clippy::cast_possible_truncation, reason = "positions on a screen are small")]
                let (left, top) = (bounds.min.x as i32, bounds.min.y as i32);
                outline.draw(|dx, dy, cover| {
                    dot(left.saturating_add_unsigned(dx), top.saturating_add_unsigned(dy), cover);
                });
            }
            x += self.advance(c, weight, size);
        }
    }

    /// The font that has the character; the main one shows its sign for a missing one.
    fn font(&self, c: char, weight: Weight) -> &FontVec {
        let has = |font: &&FontVec| font.glyph_id(c).0 != 0;
        let main = match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => self.bold.as_ref().unwrap_or(&self.regular),
        };
        if has(&main) || c.is_whitespace() {
            return main;
        }
        let others = self.others.get_or_init(|| self.files.iter().filter_map(|f| open(f)).collect());
        others.iter().find(has).unwrap_or(main)
    }
}

fn find(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(dir).into_iter().flatten().flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type());
        if files.len() >= FILES_MAX {
            return;
        }
        if kind.is_ok_and(|k| k.is_dir()) {
            if depth > 0 {
                find(&path, depth - 1, files);
            }
        } else if path.extension().is_some_and(|e| e == "ttf" || e == "otf" || e == "ttc") {
            files.push(path);
        }
    }
}

fn open(path: &Path) -> Option<FontVec> {
    if std::fs::metadata(path).ok()?.len() > FONT_MAX {
        return None;
    }
    FontVec::try_from_vec(std::fs::read(path).ok()?).ok()
}
