//! Pixels, and what is drawn with them. Knows no X.

use super::font::{Fonts, Weight};

/// Colours are 0xRRGGBB.
pub(super) const PAPER: u32 = 0xfbfcfd;
pub(super) const INK: u32 = 0x1f2933;
pub(super) const ACCENT: u32 = 0x3d7ab8;
pub(super) const FOOT: u32 = 0xeef1f5;
pub(super) const EDGE: u32 = 0xd5dbe3;
pub(super) const WHITE: u32 = 0xffffff;

/// A rectangle of pixels, from the top left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

/// An image.
pub(super) struct Picture {
    width: i32,
    height: i32,
    pixels: Vec<u32>,
}

impl Area {
    pub(super) fn holds(&self, x: i32, y: i32) -> bool {
        (self.x..self.x + self.width).contains(&x) && (self.y..self.y + self.height).contains(&y)
    }
}

impl Picture {
    pub(super) fn new(width: u16, height: u16, colour: u32) -> Self {
        let pixels = vec![colour; usize::from(width) * usize::from(height)];
        Self { width: i32::from(width), height: i32::from(height), pixels }
    }

    /// Fills an area with rounded corners (`radius` may be 0).
    pub(super) fn fill(&mut self, area: Area, radius: i32, colour: u32) {
        for y in area.y..area.y + area.height {
            for x in area.x..area.x + area.width {
                let cover = corner(area, radius, x, y);
                self.blend(x, y, colour, cover);
            }
        }
    }

    /// Writes a line of text, its base line at `at`.
    pub(super) fn write(&mut self, fonts: &Fonts, text: &str, style: (Weight, f32, u32), at: (f32, f32)) {
        let (weight, size, colour) = style;
        fonts.draw(text, weight, size, at, |x, y, cover| self.blend(x, y, colour, cover));
    }

    /// Rows of pixels of four bytes, least significant first or last.
    pub(super) fn bytes(&self, little_endian: bool) -> Vec<u8> {
        let order = if little_endian { u32::to_le_bytes } else { u32::to_be_bytes };
        self.pixels.iter().flat_map(|p| order(*p)).collect()
    }

    fn blend(&mut self, x: i32, y: i32, colour: u32, cover: f32) {
        if !(0..self.width).contains(&x) || !(0..self.height).contains(&y) {
            return;
        }
        let at = usize::try_from(y * self.width + x).unwrap_or(usize::MAX);
        let Some(pixel) = self.pixels.get_mut(at) else { return };
        let cover = cover.clamp(0.0, 1.0);
        let mix = |shift: u32| {
            #[expect(clippy::cast_precision_loss, reason = "a colour has eight bits")]
            let (old, new) = ((*pixel >> shift & 0xff) as f32, (colour >> shift & 0xff) as f32);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
            let mixed = (old + (new - old) * cover).round() as u32;
            mixed << shift
        };
        *pixel = mix(16) | mix(8) | mix(0);
    }
}

/// How much of a pixel lies within an area with rounded corners.
fn corner(area: Area, radius: i32, x: i32, y: i32) -> f32 {
    let beyond =
        |at: i32, from: i32, length: i32| (from + radius - at).max(at - (from + length - 1 - radius)).max(0);
    let (dx, dy) = (beyond(x, area.x, area.width), beyond(y, area.y, area.height));
    if dx == 0 || dy == 0 {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "corners are a few pixels")]
    let (distance, radius) = (((dx * dx + dy * dy) as f32).sqrt(), radius as f32);
    (radius + 0.5 - distance).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_outside_changes_nothing() {
        let mut picture = Picture::new(4, 4, PAPER);
        picture.fill(Area { x: -9, y: -9, width: 40, height: 9 }, 3, INK);
        picture.fill(Area { x: 4, y: 0, width: 40, height: 40 }, 0, INK);
        assert!(picture.pixels.iter().all(|p| *p == PAPER));
    }

    #[test]
    fn bytes_are_in_the_order_of_the_display() {
        let picture = Picture::new(1, 1, 0x00aa_bbcc);
        assert_eq!(picture.bytes(true), [0xcc, 0xbb, 0xaa, 0]);
        assert_eq!(picture.bytes(false), [0, 0xaa, 0xbb, 0xcc]);
    }
}
