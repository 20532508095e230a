//! The window itself. Its images are pixmaps that the X server shows by itself as the windows' background,
//! so nothing is drawn again when something moves over it; long messages scroll by moving a child window.

use super::WindowError;
use super::font::{Fonts, Weight};
use super::picture::{ACCENT, Area, EDGE, FOOT, INK, PAPER, Picture, WHITE};
use super::text;
use std::io;
use std::time::{Duration, Instant};
use x11rb::connection::Connection as _;
use x11rb::properties::{WmSizeHints, WmSizeHintsSpecification};
use x11rb::protocol::Event;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::xproto::{
    AtomEnum, ChangeWindowAttributesAux, ConfigureWindowAux, ConnectionExt as _, CreateGCAux,
    CreateWindowAux, EventMask, ImageFormat, ImageOrder, MapState, PropMode, Screen, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

x11rb::atom_manager! {
    Atoms: AtomsCookie {
        WM_PROTOCOLS,
        WM_DELETE_WINDOW,
        UTF8_STRING,
        _NET_WM_NAME,
        _NET_WM_WINDOW_TYPE,
        _NET_WM_WINDOW_TYPE_DIALOG,
        _NET_WM_STATE,
        _NET_WM_STATE_ABOVE,
        _NET_WM_STATE_DEMANDS_ATTENTION,
        _NET_WM_DESKTOP,
    }
}

const WIDTH: u16 = 560;
const PAD: u16 = 26;
const BAR: u16 = 6;
const FOOT_HEIGHT: u16 = 64;
const TITLE_SIZE: f32 = 20.0;
const TITLE_LINE: u16 = 28;
/// A title of 256 characters fits; one made of wide letters ends with a mark.
const TITLE_LINES: usize = 6;
const TEXT_SIZE: f32 = 17.0;
const TEXT_LINE: u16 = 24;
const BUTTON: (u16, u16) = (104, 36);
const SCROLLER: u16 = 6;
const ALL_DESKTOPS: u32 = u32::MAX;
/// The user may be typing elsewhere when the window takes the focus: keys count only after this.
const KEYS_AFTER: Duration = Duration::from_millis(700);
/// A request carries so much of an image at most.
const CHUNK: usize = 128 * 1024;

/// Keysyms (X11/keysymdef.h) that mean something here.
const CLOSING: [u32; 3] = [0xff0d, 0xff8d, 0xff1b];
const SCROLLING: [(u32, i32); 6] =
    [(0xff52, -1), (0xff54, 1), (0xff55, -10), (0xff56, 10), (0xff50, -1000), (0xff57, 1000)];

/// Where everything lies, from the sizes of the texts and the screen.
struct Layout {
    title: Vec<String>,
    lines: Vec<String>,
    width: u16,
    height: u16,
    /// The part of the text that is seen at one time.
    view: Area,
    button: Area,
}

struct Shown<'a> {
    connection: &'a RustConnection,
    screen: &'a Screen,
    atoms: Atoms,
    layout: Layout,
    window: Window,
    /// As high as the text, inside one as high as the view.
    text: Window,
    thumb: Window,
    scrolled: i32,
}

/// Shows a message until it is closed; calls `drawn` once, when it can be seen.
pub(super) fn show(
    title: &str,
    text: &str,
    fonts: &Fonts,
    drawn: impl FnOnce() -> io::Result<()>,
) -> Result<(), WindowError> {
    let (connection, number) = x11rb::connect(None)?;
    let setup = connection.setup();
    let screen = setup.roots.get(number).ok_or(x11rb::errors::ConnectError::InvalidScreen)?;
    let bits =
        setup.pixmap_formats.iter().find(|f| f.depth == screen.root_depth).map_or(0, |f| f.bits_per_pixel);
    if bits != 32 {
        return Err(WindowError::Pixels(bits));
    }
    let place = monitor(&connection, screen)?;
    let layout = Layout::new(title, text, fonts, place);
    let mut shown = Shown::open(&connection, screen, layout, fonts, title)?;
    shown.run(drawn)
}

impl Layout {
    fn new(title: &str, text: &str, fonts: &Fonts, place: Area) -> Self {
        let screen = |size: i32| u16::try_from(size.max(200)).unwrap_or(u16::MAX);
        let width = WIDTH.min(screen(place.width - 40));
        let room = width - BAR - 2 * PAD;
        let wrap = |text: &str, weight, size: f32| {
            text::wrap(text, f32::from(room), |c| fonts.advance(c, weight, size))
        };
        let mut title = wrap(title, Weight::Bold, TITLE_SIZE);
        if title.len() > TITLE_LINES {
            title.truncate(TITLE_LINES);
            title.push("…".to_owned());
        }
        title.retain(|line| !line.is_empty());
        let lines = wrap(text, Weight::Regular, TEXT_SIZE);
        let top = PAD + rows(title.len(), TITLE_LINE) + if title.is_empty() { 0 } else { 10 };
        let around = top + PAD / 2 + FOOT_HEIGHT;
        let most = screen(place.height - 100).saturating_sub(around).max(2 * TEXT_LINE);
        let view = rows(lines.len(), TEXT_LINE).min(most / TEXT_LINE * TEXT_LINE);
        let height = around + view;
        let area = |x: u16, y: u16, width: u16, height: u16| Area {
            x: x.into(),
            y: y.into(),
            width: width.into(),
            height: height.into(),
        };
        Self {
            view: area(BAR + PAD, top, room, view),
            button: area(
                width - PAD - BUTTON.0,
                height - FOOT_HEIGHT + (FOOT_HEIGHT - BUTTON.1) / 2,
                BUTTON.0,
                BUTTON.1,
            ),
            title,
            lines,
            width,
            height,
        }
    }

    /// All but the text.
    fn frame(&self, fonts: &Fonts) -> Picture {
        let (width, height) = (i32::from(self.width), i32::from(self.height));
        let foot = height - i32::from(FOOT_HEIGHT);
        let mut picture = Picture::new(self.width, self.height, PAPER);
        picture.fill(Area { x: 0, y: foot, width, height: i32::from(FOOT_HEIGHT) }, 0, FOOT);
        picture.fill(Area { x: 0, y: foot, width, height: 1 }, 0, EDGE);
        picture.fill(Area { x: 0, y: 0, width: BAR.into(), height }, 0, ACCENT);
        let left = f32::from(BAR + PAD);
        let mut base = f32::from(PAD) + TITLE_SIZE * 0.8;
        for line in &self.title {
            picture.write(fonts, line, (Weight::Bold, TITLE_SIZE, INK), (left, base));
            base += f32::from(TITLE_LINE);
        }
        picture.fill(self.button, 6, ACCENT);
        let label = "OK";
        let wide = fonts.width(label, Weight::Bold, TEXT_SIZE);
        #[expect(clippy::cast_precision_loss, reason = "a button is small")]
        let at = (
            self.button.x as f32 + (self.button.width as f32 - wide) / 2.0,
            self.button.y as f32 + self.button.height as f32 / 2.0 + TEXT_SIZE * 0.29,
        );
        picture.write(fonts, label, (Weight::Bold, TEXT_SIZE, WHITE), at);
        picture
    }

    /// The text, all of it.
    fn text(&self, fonts: &Fonts) -> Picture {
        let mut picture = Picture::new(small(self.view.width), self.text_height(), PAPER);
        let mut base = TEXT_SIZE * 0.95;
        for line in &self.lines {
            picture.write(fonts, line, (Weight::Regular, TEXT_SIZE, INK), (0.0, base));
            base += f32::from(TEXT_LINE);
        }
        picture
    }

    fn text_height(&self) -> u16 {
        rows(self.lines.len(), TEXT_LINE)
    }

    /// How far the text can be scrolled.
    fn scroll_max(&self) -> i32 {
        i32::from(self.text_height()) - self.view.height
    }
}

impl<'a> Shown<'a> {
    fn open(
        connection: &'a RustConnection,
        screen: &'a Screen,
        layout: Layout,
        fonts: &Fonts,
        title: &str,
    ) -> Result<Self, WindowError> {
        let atoms = Atoms::new(connection)?.reply()?;
        let events = EventMask::STRUCTURE_NOTIFY
            | EventMask::VISIBILITY_CHANGE
            | EventMask::EXPOSURE
            | EventMask::KEY_PRESS
            | EventMask::BUTTON_PRESS;
        let place = |parent, area, colour, events| child(connection, screen, parent, area, colour, events);
        let whole = Area { x: 0, y: 0, width: layout.width.into(), height: layout.height.into() };
        let window = place(screen.root, whole, PAPER, events)?;
        // Neither of these selects buttons: a click on the text is the window's.
        let clip = place(window, layout.view, PAPER, EventMask::NO_EVENT)?;
        let whole_text = Area { x: 0, y: 0, height: layout.text_height().into(), ..layout.view };
        let text = place(clip, whole_text, PAPER, EventMask::NO_EVENT)?;
        let thumb = place(window, layout.view, EDGE, EventMask::NO_EVENT)?;
        background(connection, screen, window, &layout.frame(fonts), (layout.width, layout.height))?;
        let size = (small(layout.view.width), layout.text_height());
        background(connection, screen, text, &layout.text(fonts), size)?;
        connection.map_window(text)?;
        connection.map_window(clip)?;
        if layout.scroll_max() > 0 {
            connection.map_window(thumb)?;
        }
        let shown = Self { connection, screen, atoms, layout, window, text, thumb, scrolled: 0 };
        shown.introduce(title)?;
        shown.scroll_to(0)?;
        shown.centre()?;
        // To hear when the screen changes its size, as it does when a client of another size connects.
        let watch = ChangeWindowAttributesAux::new().event_mask(EventMask::STRUCTURE_NOTIFY);
        connection.change_window_attributes(screen.root, &watch)?;
        connection.map_window(window)?;
        connection.flush()?;
        Ok(shown)
    }

    /// Tells the window manager what kind of window this is.
    fn introduce(&self, title: &str) -> Result<(), WindowError> {
        let (connection, window, atoms) = (self.connection, self.window, &self.atoms);
        let (latin, atom) = (AtomEnum::STRING, AtomEnum::ATOM);
        let ascii: String = title.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
        connection.change_property8(PropMode::REPLACE, window, AtomEnum::WM_NAME, latin, ascii.as_bytes())?;
        let utf8 = atoms.UTF8_STRING;
        connection.change_property8(PropMode::REPLACE, window, atoms._NET_WM_NAME, utf8, title.as_bytes())?;
        let kind = [atoms._NET_WM_WINDOW_TYPE_DIALOG];
        connection.change_property32(PropMode::REPLACE, window, atoms._NET_WM_WINDOW_TYPE, atom, &kind)?;
        let state = [atoms._NET_WM_STATE_ABOVE, atoms._NET_WM_STATE_DEMANDS_ATTENTION];
        connection.change_property32(PropMode::REPLACE, window, atoms._NET_WM_STATE, atom, &state)?;
        let protocols = [atoms.WM_DELETE_WINDOW];
        connection.change_property32(PropMode::REPLACE, window, atoms.WM_PROTOCOLS, atom, &protocols)?;
        let (desktop, number) = ([ALL_DESKTOPS], AtomEnum::CARDINAL);
        connection.change_property32(PropMode::REPLACE, window, atoms._NET_WM_DESKTOP, number, &desktop)?;
        let class = b"openrdms-message\0OpenRDMS\0";
        connection.change_property8(PropMode::REPLACE, window, AtomEnum::WM_CLASS, latin, class)?;
        Ok(())
    }

    /// Moves the window into the middle of the first monitor.
    fn centre(&self) -> Result<(), WindowError> {
        let place = monitor(self.connection, self.screen)?;
        let (width, height) = (i32::from(self.layout.width), i32::from(self.layout.height));
        let x = place.x + (place.width - width).max(0) / 2;
        let y = place.y + (place.height - height).max(0) / 2;
        WmSizeHints {
            position: Some((WmSizeHintsSpecification::UserSpecified, x, y)),
            min_size: Some((width, height)),
            max_size: Some((width, height)),
            ..WmSizeHints::new()
        }
        .set_normal_hints(self.connection, self.window)?;
        self.connection.configure_window(self.window, &ConfigureWindowAux::new().x(x).y(y))?;
        Ok(())
    }

    fn scroll_to(&self, at: i32) -> Result<(), WindowError> {
        self.connection.configure_window(self.text, &ConfigureWindowAux::new().y(-at))?;
        let (view, all) = (self.layout.view, i32::from(self.layout.text_height()).max(1));
        let height = (view.height * view.height / all).max(20);
        let y = view.y + (view.height - height) * at / self.layout.scroll_max().max(1);
        let thumb = ConfigureWindowAux::new()
            .x(view.x + view.width + i32::from(PAD - SCROLLER) / 2)
            .y(y)
            .width(u32::from(SCROLLER))
            .height(height.unsigned_abs());
        self.connection.configure_window(self.thumb, &thumb)?;
        Ok(())
    }

    fn run(&mut self, drawn: impl FnOnce() -> io::Result<()>) -> Result<(), WindowError> {
        let mut drawn = Some(drawn);
        let mut keys_from = Instant::now() + KEYS_AFTER;
        loop {
            self.connection.flush()?;
            let event = self.connection.wait_for_event()?;
            match event {
                // Whether it can be seen is asked, and the answer comes after all that was sent before:
                // the images are there.
                Event::MapNotify(_) | Event::VisibilityNotify(_) | Event::Expose(_)
                    if drawn.is_some() && self.viewable()? =>
                {
                    keys_from = Instant::now() + KEYS_AFTER;
                    if let Some(say) = drawn.take() {
                        say()?;
                    }
                }
                Event::ConfigureNotify(e) if e.window == self.screen.root => self.centre()?,
                Event::ButtonPress(e) => match e.detail {
                    1 if self.layout.button.holds(e.event_x.into(), e.event_y.into()) => return Ok(()),
                    4 => self.scroll(-3)?,
                    5 => self.scroll(3)?,
                    _ => {}
                },
                Event::KeyPress(e) if Instant::now() >= keys_from => {
                    let keys = self.keysyms(e.detail)?;
                    if keys.iter().any(|k| CLOSING.contains(k)) {
                        return Ok(());
                    }
                    if let Some((_, lines)) = SCROLLING.iter().find(|(k, _)| keys.contains(k)) {
                        self.scroll(*lines)?;
                    }
                }
                Event::ClientMessage(e) if e.type_ == self.atoms.WM_PROTOCOLS => return Ok(()),
                Event::DestroyNotify(e) if e.window == self.window => return Ok(()),
                Event::Error(e) => return Err(WindowError::Display(format!("{:?}", e.error_kind))),
                _ => {}
            }
        }
    }

    fn viewable(&self) -> Result<bool, WindowError> {
        let attributes = self.connection.get_window_attributes(self.window)?.reply()?;
        Ok(attributes.map_state == MapState::VIEWABLE)
    }

    fn scroll(&mut self, lines: i32) -> Result<(), WindowError> {
        let most = self.layout.scroll_max().max(0);
        self.scrolled = (self.scrolled + lines * i32::from(TEXT_LINE)).clamp(0, most);
        self.scroll_to(self.scrolled)
    }

    /// What a key stands for now: clients bring keyboards of their own, so it is asked each time.
    fn keysyms(&self, key: u8) -> Result<Vec<u32>, WindowError> {
        Ok(self.connection.get_keyboard_mapping(key, 1)?.reply()?.keysyms)
    }
}

/// The primary monitor, or the first, or the whole screen.
fn monitor(connection: &RustConnection, screen: &Screen) -> Result<Area, WindowError> {
    let monitors = connection.randr_get_monitors(screen.root, true).map(|cookie| cookie.reply());
    let monitors = monitors?.map(|r| r.monitors).unwrap_or_default();
    if let Some(m) = monitors.iter().find(|m| m.primary).or_else(|| monitors.first())
        && m.width > 0
        && m.height > 0
    {
        return Ok(Area { x: m.x.into(), y: m.y.into(), width: m.width.into(), height: m.height.into() });
    }
    let root = connection.get_geometry(screen.root)?.reply()?;
    Ok(Area { x: 0, y: 0, width: root.width.into(), height: root.height.into() })
}

fn child(
    connection: &RustConnection,
    screen: &Screen,
    parent: Window,
    area: Area,
    colour: u32,
    events: EventMask,
) -> Result<Window, WindowError> {
    let id = connection.generate_id()?;
    let looks = CreateWindowAux::new().background_pixel(colour).event_mask(events);
    let (x, y) = (i16::try_from(area.x).unwrap_or(0), i16::try_from(area.y).unwrap_or(0));
    let (width, height) = (small(area.width).max(1), small(area.height).max(1));
    let (depth, class) = (screen.root_depth, WindowClass::INPUT_OUTPUT);
    connection.create_window(depth, id, parent, x, y, width, height, 0, class, screen.root_visual, &looks)?;
    Ok(id)
}

/// Sends an image, and makes it what the window shows by itself.
fn background(
    connection: &RustConnection,
    screen: &Screen,
    window: Window,
    picture: &Picture,
    (width, height): (u16, u16),
) -> Result<(), WindowError> {
    let (pixmap, gc) = (connection.generate_id()?, connection.generate_id()?);
    connection.create_pixmap(screen.root_depth, pixmap, window, width, height)?;
    connection.create_gc(gc, pixmap, &CreateGCAux::new())?;
    let bytes = picture.bytes(connection.setup().image_byte_order == ImageOrder::LSB_FIRST);
    let row = usize::from(width) * 4;
    let rows_a_time = (CHUNK / row).max(1);
    let mut y = 0;
    for part in bytes.chunks(rows_a_time * row) {
        let rows = u16::try_from(part.len() / row).unwrap_or(0);
        let format = ImageFormat::Z_PIXMAP;
        let top = i16::try_from(y).unwrap_or(i16::MAX);
        connection.put_image(format, pixmap, gc, width, rows, 0, top, 0, screen.root_depth, part)?;
        y += rows;
    }
    let looks = ChangeWindowAttributesAux::new().background_pixmap(pixmap);
    connection.change_window_attributes(window, &looks)?;
    connection.clear_area(false, window, 0, 0, 0, 0)?;
    connection.free_gc(gc)?;
    connection.free_pixmap(pixmap)?;
    Ok(())
}

/// Sizes of windows are positive and small; the window is never larger than the screen.
fn small(size: i32) -> u16 {
    u16::try_from(size).unwrap_or(0)
}

fn rows(count: usize, height: u16) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX).saturating_mul(height)
}
