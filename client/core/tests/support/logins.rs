//! The logins of the account: two, of which number 1 is this one and number 2 a phone; and what ends them.

use super::PASSWORD;
use wire::account::ChangePassword;
use wire::session::{ClientKind, Device, DevicesPage, Reply as SessionReply, Revoke};
use wire::{DeviceId, Errno, Refusal, Reply, UnixMillis};

#[derive(Default)]
pub struct Logins {
    pub revoked: Vec<Revoke>,
    /// Every CHANGE_PASSWORD, refused ones included.
    pub passwords: Vec<ChangePassword>,
}

impl Logins {
    pub(super) fn list() -> Reply {
        let device = |id, device: &str, kind| Device {
            id: DeviceId(id),
            device: device.into(),
            kind,
            address: "192.0.2.1".into(),
            created: UnixMillis(1_700_000_000_000),
            last_used: UnixMillis(1_700_000_000_000),
            current: id == 1,
            online: id == 1,
        };
        let devices = vec![
            device(1, "chatclient on desk", ClientKind::Terminal),
            device(2, "ph\u{1b}one", ClientKind::Mobile),
        ];
        Reply::Session(SessionReply::Devices(Box::new(DevicesPage { devices })))
    }

    pub(super) fn revoke(&mut self, revoke: Revoke) -> Reply {
        self.revoked.push(revoke);
        Reply::Done
    }

    pub(super) fn change(&mut self, change: ChangePassword) -> Reply {
        let is_right = *change.old == *PASSWORD;
        self.passwords.push(change);
        match is_right {
            true => Reply::Done,
            false => Refusal::new(Errno::BadCredentials, "the old password is wrong").into(),
        }
    }
}
