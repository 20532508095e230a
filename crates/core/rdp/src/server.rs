//! What the broker itself says to a client: the licence, the reason, the end.

use crate::{RdpError, mcs, mcs::send_data_indication};
use zeroize::Zeroizing;

/// Why a connection ends, as clients know it (MS-RDPBCGR 2.2.5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ErrorInfo {
    /// `ERRINFO_RPC_INITIATED_DISCONNECT`: by an administrator, from another session.
    Disconnected = 0x0000_0001,
    /// `ERRINFO_RPC_INITIATED_LOGOFF`: logged off by an administrator, from another session.
    LoggedOff = 0x0000_0002,
    /// `ERRINFO_IDLE_TIMEOUT`: the idle limit is reached.
    IdleTimeout = 0x0000_0003,
    /// `ERRINFO_LOGON_TIMEOUT`: the active limit is reached.
    LogonTimeout = 0x0000_0004,
    /// `ERRINFO_DISCONNECTED_BY_OTHERCONNECTION`: the user connected from elsewhere.
    TakenOver = 0x0000_0005,
    /// `ERRINFO_SERVER_DENIED_CONNECTION`: the server takes no connection just now.
    Denied = 0x0000_0007,
    /// `ERRINFO_SERVER_INSUFFICIENT_PRIVILEGES`: this account may not come in here.
    NotAllowed = 0x0000_0009,
    /// `ERRINFO_SERVER_FRESH_CREDENTIALS_REQUIRED`: none were given, or the wrong ones.
    FreshCredentials = 0x0000_000a,
    /// `ERRINFO_CB_DESTINATION_NOT_FOUND`: there is no such collection.
    NotFound = 0x0000_0400,
    /// `ERRINFO_CB_DESTINATION_POOL_NOT_FREE`: every desktop is taken.
    PoolNotFree = 0x0000_0408,
    /// `ERRINFO_CB_CONNECTION_ERROR_VM_SESSION_MONITOR_FAILED`: the desktop does not answer.
    DesktopFailed = 0x0000_0412,
}

/// The licensing PDU that says: no licence needed (MS-RDPBCGR 2.2.1.12, MS-RDPELE 2.2.1.12.1.3,
/// `STATUS_VALID_CLIENT`). A client looks at nothing else before it has had a licensing PDU.
pub fn license_valid_client() -> Vec<u8> {
    #[rustfmt::skip]
    const CONTENT: [u8; 20] = [
        0x80, 0x00, 0x00, 0x00, // SEC_LICENSE_PKT, high flags
        0xff, 0x03, 0x10, 0x00, // ERROR_ALERT, version 3, 16 bytes
        0x07, 0x00, 0x00, 0x00, // STATUS_VALID_CLIENT
        0x02, 0x00, 0x00, 0x00, // ST_NO_TRANSITION
        0x04, 0x00, 0x00, 0x00, // an empty error blob
    ];
    indication(&CONTENT)
}

/// Set Error Info (MS-RDPBCGR 2.2.5.1). `share_id` is that of the last Demand Active, or 0 before the first.
/// Only for clients with [`crate::gcc::EARLY_ERROR_INFO`], and the connection must be ended after it.
pub fn set_error_info(share_id: u32, info: ErrorInfo) -> Vec<u8> {
    let ([s0, s1, s2, s3], [e0, e1, e2, e3]) = (share_id.to_le_bytes(), (info as u32).to_le_bytes());
    #[rustfmt::skip]
    let content = [
        0x16, 0x00, 0x17, 0x00, 0x00, 0x00, // share control: 22 bytes, version 1 data PDU, source 0
        s0, s1, s2, s3,                     // share id
        0x00, 0x01, 0x08, 0x00,             // padding, low priority stream, 8 bytes uncompressed
        0x2f, 0x00, 0x00, 0x00,             // PDUTYPE2_SET_ERROR_INFO_PDU, no compression
        e0, e1, e2, e3,
    ];
    indication(&content)
}

/// Save Session Info with the cookie by which the client may come back by itself (MS-RDPBCGR 2.2.10.1,
/// `INFOTYPE_LOGON_EXTENDED_INFO`; the cookie is `ARC_SC_PRIVATE_PACKET`, 2.2.4.2). `logon_id` is what the client will
/// name the session by. It belongs behind the connection sequence, and there may be another one at any time.
pub fn auto_reconnect_cookie(share_id: u32, logon_id: u32, random: &[u8; 16]) -> Zeroizing<Vec<u8>> {
    /// What ends a `TS_LOGON_INFO_EXTENDED`; FreeRDP takes none without it.
    const PADDING: usize = 570;
    #[rustfmt::skip]
    const HEAD: [u8; 40] = [
        0x76, 0x02, 0x17, 0x00, 0x00, 0x00, // share control: 630 bytes, version 1 data PDU, source 0
        0, 0, 0, 0,                         // share id
        0x00, 0x01, 0x68, 0x02,             // padding, low priority stream, 616 bytes uncompressed
        0x26, 0x00, 0x00, 0x00,             // PDUTYPE2_SAVE_SESSION_INFO, no compression
        0x03, 0x00, 0x00, 0x00,             // INFOTYPE_LOGON_EXTENDED_INFO
        0x26, 0x00, 0x01, 0x00, 0x00, 0x00, // 38 bytes, LOGON_EX_AUTORECONNECTCOOKIE
        0x1c, 0x00, 0x00, 0x00,             // a field of 28 bytes
        0x1c, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, // ARC_SC_PRIVATE_PACKET: 28 bytes, version 1
    ];
    let mut content = Zeroizing::new([0; HEAD.len() + 4 + 16 + PADDING]);
    content[..40].copy_from_slice(&HEAD);
    content[6..10].copy_from_slice(&share_id.to_le_bytes());
    content[40..44].copy_from_slice(&logon_id.to_le_bytes());
    content[44..60].copy_from_slice(random);
    Zeroizing::new(indication(&content[..]))
}

/// The end: MCS Disconnect Provider Ultimatum, provider initiated (MS-RDPBCGR 2.2.2.3, T.125 7).
pub fn disconnect_ultimatum() -> Vec<u8> {
    mcs::small(&[0x20, 0x80])
}

/// The early user authorization result of HYBRID_EX (MS-RDPBCGR 2.2.10.2): `AUTHZ_SUCCESS`.
pub const AUTHORIZATION_SUCCESS: [u8; 4] = [0, 0, 0, 0];

/// A Send Data Indication on the I/O channel, of a few bytes.
fn indication(content: &[u8]) -> Vec<u8> {
    let built: Result<Vec<u8>, RdpError> = send_data_indication(content);
    built.expect("a few bytes fit into a frame")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn the_licence_is_laid_out_as_specified() {
        assert_eq!(license_valid_client(), [
            0x03, 0x00, 0x00, 0x22, 0x02, 0xf0, 0x80,             // TPKT of 34 bytes, X.224 data
            0x68, 0x00, 0x01, 0x03, 0xeb, 0x70, 0x14,             // Send Data Indication, 1002, channel 1003, 20 bytes
            0x80, 0x00, 0x00, 0x00,                               // security header: SEC_LICENSE_PKT
            0xff, 0x03, 0x10, 0x00,                               // ERROR_ALERT, version 3, 16 bytes
            0x07, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,       // STATUS_VALID_CLIENT, ST_NO_TRANSITION
            0x04, 0x00, 0x00, 0x00,                               // BB_ERROR_BLOB, 0 bytes
        ]);
    }

    #[test]
    fn the_ultimatum_is_nine_bytes() {
        assert_eq!(disconnect_ultimatum(), [3, 0, 0, 9, 2, 0xf0, 0x80, 0x20, 0x80]);
    }

    #[test]
    #[rustfmt::skip]
    fn set_error_info_is_laid_out_as_specified() {
        assert_eq!(set_error_info(0x0001_03ea, ErrorInfo::TakenOver), [
            0x03, 0x00, 0x00, 0x24, 0x02, 0xf0, 0x80,             // TPKT of 36 bytes, X.224 data
            0x68, 0x00, 0x01, 0x03, 0xeb, 0x70, 0x16,             // Send Data Indication, 1002, channel 1003, 22 bytes
            0x16, 0x00, 0x17, 0x00, 0x00, 0x00,                   // share control
            0xea, 0x03, 0x01, 0x00, 0x00, 0x01, 0x08, 0x00, 0x2f, 0x00, 0x00, 0x00, // share data
            0x05, 0x00, 0x00, 0x00,
        ]);
    }

    #[test]
    #[rustfmt::skip]
    fn the_cookie_is_laid_out_as_specified() {
        let frame = auto_reconnect_cookie(0x0001_03ea, 9, b"sixteen bytes...");
        let head = [
            0x03, 0x00, 0x02, 0x85, 0x02, 0xf0, 0x80,             // TPKT of 645 bytes, X.224 data
            0x68, 0x00, 0x01, 0x03, 0xeb, 0x70, 0x82, 0x76,       // Send Data Indication, 1002, channel 1003, 630 bytes
            0x76, 0x02, 0x17, 0x00, 0x00, 0x00,                   // share control: 630 bytes
            0xea, 0x03, 0x01, 0x00, 0x00, 0x01, 0x68, 0x02, 0x26, 0x00, 0x00, 0x00, // share data: 616 bytes
            0x03, 0x00, 0x00, 0x00,                               // INFOTYPE_LOGON_EXTENDED_INFO
            0x26, 0x00, 0x01, 0x00, 0x00, 0x00,                   // Length: this structure without its padding
            0x1c, 0x00, 0x00, 0x00,
            0x1c, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00,
        ];
        assert_eq!(frame[..head.len()], head);
        assert_eq!(frame[head.len()..][..16], *b"sixteen bytes...");
        assert_eq!(frame[head.len() + 16..], [0; 570]);
        assert_eq!(crate::frame_len(&frame), Ok(Some(frame.len())));
    }
}
