//! `/devices`, `/revoke` and `/password`, and the reasons why the server ends a session.

use crate::place::{Place, USUAL};
use crate::support::PASSWORD;
use wire::session::{KickCode, Kicked, Push as SessionPush, Revoke};
use wire::{DeviceId, Push, UnixMillis};

#[test]
fn logins_are_listed_and_revoked() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/devices");
    terminal.expect("logins (2):");
    terminal.expect("1      chatclient on desk  terminal  this one");
    let rows = terminal.expect("2      ph␛one            mobile");
    assert!(
        rows.iter().any(|row| row.contains("last login 20") && row.contains("from 192.0.2.1")),
        "{rows:#?}"
    );
    terminal.type_line("/revoke 2");
    terminal.expect("login 2 has ended");
    terminal.type_line("/revoke all");
    terminal.expect("all other logins have ended");
    let revoked = place.listening.server.lock().unwrap().logins.revoked.clone();
    assert_eq!(revoked, [Revoke::One(DeviceId(2)), Revoke::Others]);
    terminal.type_line("/revoke phone");
    terminal.expect("/revoke ID|all");
    // The own one ends as with /logout.
    terminal.type_line("/revoke 1");
    terminal.expect("logged out");
    terminal.expect_last("choice:");
    assert_eq!(place.listening.server.lock().unwrap().logins.revoked.len(), 2);
}

#[test]
fn a_password_is_changed_without_being_shown() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    let changes = || place.listening.server.lock().unwrap().logins.passwords.clone();
    terminal.type_line("/password");
    terminal.expect_last("old password:");
    terminal.type_line("wrong one");
    terminal.expect_last("new password:");
    terminal.type_line("short");
    terminal.expect("a password has 6 to 128");
    terminal.expect_last("new password:");
    terminal.type_line("new secret");
    terminal.expect_last("new password again:");
    terminal.type_line("new secrte");
    terminal.expect("the passwords are not the same; once more");
    terminal.expect_last("new password:");
    terminal.type_line("new secret");
    terminal.expect_last("new password again:");
    terminal.type_line("new secret");
    terminal.expect("/password: the old password is wrong");
    terminal.type_line("/password");
    terminal.expect_last("old password:");
    terminal.type_line(PASSWORD);
    terminal.expect_last("new password:");
    terminal.type_line("new secret");
    terminal.expect_last("new password again:");
    terminal.type_line("new secret");
    let rows = terminal.expect("the password is changed; all other logins have ended");
    assert!(!rows.iter().any(|row| row.contains("secre") || row.contains("wrong one")), "{rows:#?}");
    let changes = changes();
    assert_eq!(changes.len(), 2);
    assert!(*changes[1].old == *PASSWORD && *changes[1].new == *"new secret");
    // What was typed is in no history.
    terminal.type_line("/password");
    terminal.expect_last("old password:");
    terminal.type_keys("\x03");
    terminal.expect("the password is not changed");
    terminal.type_keys("\x1b[A");
    terminal.expect_last("> /password");
}

#[test]
fn the_code_of_a_kick_is_said_in_words() {
    for (code, words) in [
        (KickCode::Revoked, "because this login was revoked"),
        (KickCode::Password, "because the password was changed"),
        (KickCode::Limit, "because the account has too many sessions"),
    ] {
        let place = Place::new();
        let mut terminal = place.online(USUAL, &[]);
        if code == KickCode::Password {
            // While a password is being typed, which then is shown nowhere.
            terminal.type_line("/password");
            terminal.expect_last("old password:");
            terminal.type_keys("half a sec");
        }
        place.listening.push(&Push::Session(SessionPush::Kicked(Box::new(Kicked {
            reason: "a reason".into(),
            code: Some(code),
            device: None,
            time: UnixMillis(0),
        }))));
        terminal.expect("you were logged out at ");
        let rows = terminal.expect(words);
        assert!(!rows.iter().any(|row| row.contains("by a login from")), "{rows:#?}");
        if code == KickCode::Password {
            terminal.expect_last("Enter goes on:");
            // The rest of what was being typed.
            terminal.type_line("ret");
        }
        let rows = terminal.expect_last("choice:");
        assert!(!rows.iter().any(|row| row.contains("half") || row.contains("ret")), "{rows:#?}");
    }
}
