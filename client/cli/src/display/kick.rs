//! Why the server ended a session, in words.

use chatclient_core::sanitize;
use wire::session::{KickCode, Kicked};

/// What follows `you were logged out at 12:03`.
pub fn why(kicked: &Kicked) -> String {
    match kicked.code {
        None | Some(KickCode::Login) => {
            let device = kicked.device.as_deref().unwrap_or("an unknown device");
            format!("by a login from {}", sanitize::line(device))
        }
        Some(KickCode::Revoked) => "because this login was revoked".to_owned(),
        Some(KickCode::Password) => "because the password was changed; log in with the new one".to_owned(),
        Some(KickCode::Disabled) => "because the account was disabled".to_owned(),
        Some(KickCode::Deleted) => "because the account was deleted".to_owned(),
        Some(KickCode::Admin) => "by an administrator".to_owned(),
        Some(KickCode::Limit) => "because the account has too many sessions".to_owned(),
        Some(KickCode::Other) => format!("by the server: {}", sanitize::line(&kicked.reason)),
    }
}

/// Whether a login of the account ended it.
pub fn is_by_login(kicked: &Kicked) -> bool {
    matches!(kicked.code, None | Some(KickCode::Login))
}
