//! Asks the windows of a session to close, as their close button does, and ends when none is left. A
//! process of its own (`openrdms desktop-supervisor --close-windows`), because a program or a display that
//! hangs may hold it up; the supervisor waits only so long.

use std::io;
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, ChangeWindowAttributesAux, ClientMessageEvent, ConnectionExt as _, EventMask, Window,
};
use x11rb::rust_connection::RustConnection;

x11rb::atom_manager! {
    Atoms: AtomsCookie {
        _NET_CLIENT_LIST,
        _NET_WM_WINDOW_TYPE,
        _NET_WM_WINDOW_TYPE_DOCK,
        _NET_WM_WINDOW_TYPE_DESKTOP,
        WM_PROTOCOLS,
        WM_DELETE_WINDOW,
    }
}

/// Properties and windows that are looked at.
const ITEMS_MAX: u32 = 1024;

/// Runs to the end of the last window.
pub(crate) fn run() -> io::Result<()> {
    let (connection, screen) = x11rb::connect(None).map_err(io::Error::other)?;
    close(&connection, screen).map_err(io::Error::other)
}

fn close(connection: &RustConnection, screen: usize) -> Result<(), x11rb::errors::ReplyOrIdError> {
    let atoms = Atoms::new(connection)?.reply()?;
    let Some(root) = connection.setup().roots.get(screen).map(|s| s.root) else { return Ok(()) };
    let watch = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
    connection.change_window_attributes(root, &watch)?.check()?;
    let mut asked: Vec<Window> = Vec::new();
    loop {
        let windows = items(connection, root, atoms._NET_CLIENT_LIST, AtomEnum::WINDOW.into());
        let mut left = 0;
        for window in windows {
            let kinds = items(connection, window, atoms._NET_WM_WINDOW_TYPE, AtomEnum::ATOM.into());
            // The panel and the wallpaper are not the user's work, and have no close button.
            if kinds
                .iter()
                .any(|k| [atoms._NET_WM_WINDOW_TYPE_DOCK, atoms._NET_WM_WINDOW_TYPE_DESKTOP].contains(k))
            {
                continue;
            }
            let protocols = items(connection, window, atoms.WM_PROTOCOLS, AtomEnum::ATOM.into());
            if !protocols.contains(&atoms.WM_DELETE_WINDOW) {
                continue;
            }
            left += 1;
            if !asked.contains(&window) {
                asked.push(window);
                let data = [atoms.WM_DELETE_WINDOW, x11rb::CURRENT_TIME, 0, 0, 0];
                let please = ClientMessageEvent::new(32, window, atoms.WM_PROTOCOLS, data);
                connection.send_event(false, window, EventMask::NO_EVENT, please)?;
            }
        }
        if left == 0 {
            return Ok(());
        }
        connection.flush()?;
        // The window manager rewrites the list whenever a window comes or goes.
        while !matches!(connection.wait_for_event()?, Event::PropertyNotify(e) if e.atom == atoms._NET_CLIENT_LIST)
        {
        }
    }
}

/// A list that a window carries; empty when the window has gone.
fn items(connection: &RustConnection, window: Window, name: u32, kind: u32) -> Vec<u32> {
    let asked = connection.get_property(false, window, name, kind, 0, ITEMS_MAX).ok();
    let reply = asked.and_then(|cookie| cookie.reply().ok());
    reply.and_then(|r| r.value32().map(Iterator::collect)).unwrap_or_default()
}
