//! Accounts and tokens.

use super::{DAY_MS, Play, by_name};
use logic::contract::{Denial, Found, Read, Token, Write, Written, account, session};
use wire::UserId;
use wire::account::Who;

fn create(name: &str) -> Write {
    Write::Account(account::Write::Create {
        name: name.into(),
        password: "$hash".into(),
        nick: Some("nick".into()),
    })
}

pub fn names_are_unique_by_their_key(play: &mut Play<'_>) {
    let outcomes = play.all(vec![create("Zhang San"), create("zhang san"), create("李四")]);
    let Written::Account(account::Written::Created { user, token }) = &outcomes[0] else {
        panic!("{outcomes:?}")
    };
    assert!(matches!(outcomes[1], Written::Denied(Denial::NameTaken)));
    assert!(matches!(outcomes[2], Written::Account(account::Written::Created { .. })));
    assert_eq!(token.expires.0, play.now.0 + 7 * DAY_MS);
    let user = *user;
    play.look_thrice(|play| {
        for who in [by_name("ZHANG SAN"), Who::Id(user)] {
            let Found::Account(account::Found::Password(Some(account))) =
                play.read(Read::Account(account::Read::Password(who)))
            else {
                panic!()
            };
            assert_eq!((account.user, &*account.hash), (user, "$hash"));
        }
        for who in [by_name("nobody"), Who::Id(UserId(999))] {
            assert!(matches!(
                play.read(Read::Account(account::Read::Password(who))),
                Found::Account(account::Found::Password(None))
            ));
        }
    });
}

fn ready(written: Written) -> (UserId, String, Token) {
    match written {
        Written::Session(session::Written::TokenReady { user, name, token }) => {
            (user, name.to_string(), token)
        }
        other => panic!("{other:?}"),
    }
}

pub fn tokens_expire_are_extended_and_revoked(play: &mut Play<'_>) {
    let user = play.user("anna");
    let (who, name, token) =
        ready(play.one(Write::Session(session::Write::CreateToken { user, device: Some("laptop".into()) })));
    assert_eq!((who, name.as_str()), (user, "anna"));
    let (_, _, other) = ready(play.one(Write::Session(session::Write::CreateToken { user, device: None })));
    assert!(token.text != other.text && token.hash != other.hash && token.text.len() >= 43);

    // Used again at once it is what it was.
    let extend = |token: &Token| Write::Session(session::Write::ExtendToken { token: token.text.clone() });
    play.wait(59 * 60 * 1000);
    let (who, name, again) = ready(play.one(extend(&token)));
    assert_eq!((who, name.as_str()), (user, "anna"));
    assert_eq!((&again.text, again.hash, again.expires), (&token.text, token.hash, token.expires));

    // Six days later it is still good, and good for seven days again.
    play.wait(6 * DAY_MS);
    let (who, name, again) = ready(play.one(extend(&token)));
    assert_eq!((who, name.as_str()), (user, "anna"));
    assert_eq!((&again.text, again.hash), (&token.text, token.hash));
    assert_eq!(again.expires.0, play.now.0 + 7 * DAY_MS);

    play.wait(6 * DAY_MS);
    play.file();
    play.stage.restart();
    assert!(
        matches!(play.one(extend(&other)), Written::Denied(Denial::TokenInvalid)),
        "it was not used for twelve days"
    );
    ready(play.one(extend(&token)));
    play.wait(7 * DAY_MS);
    assert!(
        matches!(play.one(extend(&token)), Written::Denied(Denial::TokenInvalid)),
        "its last millisecond is over"
    );

    let (_, _, token) = ready(play.one(Write::Session(session::Write::CreateToken { user, device: None })));
    assert!(matches!(play.one(Write::Session(session::Write::RevokeToken(token.hash))), Written::Done));
    assert!(matches!(play.one(Write::Session(session::Write::RevokeToken(token.hash))), Written::Done));
    assert!(matches!(play.one(extend(&token)), Written::Denied(Denial::TokenInvalid)));
    assert!(matches!(
        play.one(Write::Session(session::Write::ExtendToken { token: "never".into() })),
        Written::Denied(Denial::TokenInvalid)
    ));
}
