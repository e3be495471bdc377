//! Precedence, strictness, error messages, and the documented file.

use super::keys::SECTIONS;
use super::{Config, ConfigError};
use crate::args::Args;
use clap::Parser;
use log::LevelFilter;
use logic::Conflict;
use std::collections::BTreeSet;
use std::path::Path;
use storage::StorageUrl;
use toml::de::DeTable;

const DOCUMENTED: &str = include_str!("../../../../conf/chatserver.toml");

const MSGIDS: &str = "must be 10 different 32-bit integers: the numbers of login, login answer, logout, register, \
                      register answer, one chat, add friend, create group, add group and group chat";

fn load(arguments: &[&str]) -> Result<Config, ConfigError> {
    Args::try_parse_from([&["chatserver"], arguments].concat()).unwrap().load_config()
}

fn set(setting: &str) -> Result<Config, String> {
    load(&["--set", setting]).map_err(|error| error.to_string())
}

fn with_file<T>(text: &str, then: impl FnOnce(&str) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.toml");
    std::fs::write(&path, text).unwrap();
    then(path.to_str().unwrap())
}

fn file_error(text: &str) -> String {
    with_file(text, |path| load(&["--config", path]).unwrap_err().to_string().replace(path, "chat.toml"))
}

#[test]
fn the_documented_file_has_every_key_at_its_default() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/chatserver.toml");
    assert_eq!(load(&["--config", folder.to_str().unwrap()]).unwrap(), Config::default());

    let document = DeTable::parse(DOCUMENTED).unwrap();
    let documented: BTreeSet<String> = document
        .get_ref()
        .iter()
        .flat_map(|(section, keys)| {
            let keys = keys.get_ref().as_table().unwrap().keys();
            keys.map(move |key| format!("{}.{}", section.get_ref(), key.get_ref()))
        })
        .collect();
    let known: BTreeSet<String> = SECTIONS
        .iter()
        .flat_map(|(section, keys)| keys.iter().map(move |key| format!("{section}.{key}")))
        .collect();
    assert_eq!(documented, known);

    let lines: Vec<_> = DOCUMENTED.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ") && !pair[1].starts_with('#')) {
        assert!(pair[0].starts_with('#'), "no comment above `{}`", pair[1]);
    }
}

#[test]
fn what_is_printed_reads_back() {
    let plain = load(&[]).unwrap();
    let changed = [
        "chat.listen=[::1]:7000",
        "chat.proxies=[\"10.0.0.2\", \"fd00::/8\"]",
        "http.listen=0.0.0.0:80",
        "http.proxies=[\"10.0.0.2\"]",
        "http.url=https://chat.example/",
        "http.origins=[\"https://talk.example:8443\"]",
        "storage.url=sqlite:a \"b\"\\c/宽\t.db",
        "storage.password_file=/etc/a \"b\"",
        "storage.accept_weak_durability=true",
        "legacy.msgids=[10, 9, 8, 7, 6, 5, 4, 3, 2, -1]",
        "legacy.object_bytes=4096",
        "legacy.pace_ms=0",
        "session.conflict=reject",
        "limits.frame_bytes=204800",
        "limits.connections=5",
        "limits.messages_per_second=0",
        "password.memory_kib=8",
        "password.iterations=1",
        "log.level=off",
    ];
    let changed = load(&changed.map(|setting| ["--set", setting]).concat()).unwrap();
    assert_eq!(changed.chat.listen.to_string(), "[::1]:7000");
    assert_eq!(changed.storage.url, StorageUrl::Sqlite("a \"b\"\\c/宽\t.db".into()));
    assert_eq!(changed.session.conflict, Conflict::Reject);
    let msgids = changed.legacy.msgids;
    assert_eq!((msgids.login, msgids.one_chat, msgids.group_chat, changed.legacy.pace_ms), (10, 5, -1, 0));
    assert_eq!(changed.log.level, LevelFilter::Off);
    for config in [plain, changed] {
        let text = config.to_toml();
        assert_eq!(with_file(&text, |path| load(&["--config", path]).unwrap()), config, "{text}");
    }
}

#[test]
fn later_sources_win() {
    with_file(
        "[log]\nlevel = \"warn\"\n[chat]\nlisten = \"127.0.0.1:1\"\n[limits]\nconnections = 1\n",
        |path| {
            let config = load(&["--config", path]).unwrap();
            assert_eq!((config.log.level, config.limits.connections), (LevelFilter::Warn, 1));
            assert_eq!(config.chat.listen.port(), 1);

            let sets =
                ["--set", "chat.listen=127.0.0.1:2", "--set", "log.level=error", "--set", "log.level=debug"];
            let config = load(&[&["--config", path], &sets[..]].concat()).unwrap();
            assert_eq!((config.log.level, config.limits.connections), (LevelFilter::Debug, 1));
            assert_eq!(config.chat.listen.port(), 2);

            let config = load(&[&["--config", path], &sets[..], &["::1", "3"]].concat()).unwrap();
            assert_eq!(config.chat.listen.to_string(), "[::1]:3");
        },
    );
}

#[test]
fn an_unknown_key_names_the_nearest() {
    for (setting, sentence) in [
        ("chat.lisen=x", "there is no key `chat.lisen`; did you mean `chat.listen`?"),
        ("limits.conections=1", "there is no key `limits.conections`; did you mean `limits.connections`?"),
        ("limits.memory_kib=8", "there is no key `limits.memory_kib`; did you mean `password.memory_kib`?"),
        ("sesion.conflict=kick", "there is no section `sesion`; did you mean `session`?"),
    ] {
        assert_eq!(set(setting).unwrap_err(), format!("--set {setting}: {sentence}"));
    }
    assert_eq!(
        file_error("# a\n[log]\nlevl = \"info\"\n"),
        "chat.toml:3: there is no key `log.levl`; did you mean `log.level`?"
    );
    assert_eq!(file_error("\n[logs]\n"), "chat.toml:2: there is no section `logs`; did you mean `log`?");
    assert_eq!(
        file_error("listen = \"127.0.0.1:6000\""),
        "chat.toml:1: there is no section `listen`; did you mean the key `chat.listen`?"
    );
    assert_eq!(file_error("chat = 1"), "chat.toml:1: `chat` is a section: write `[chat]` and its keys below");
    assert_eq!(
        file_error("[chat.listen]\nport = 1"),
        "chat.toml:1: `chat.listen` must be a string, not a table"
    );
}

#[test]
fn a_wrong_value_names_its_key() {
    for (setting, sentence) in [
        ("limits.connections=many", "must be an integer, not a string"),
        ("limits.connections=0", "must be from 1 to 1000000, not 0"),
        ("limits.connections=-1", "must be from 1 to 1000000, not -1"),
        ("limits.connections=99999999999999999999", "must be from 1 to 1000000, not 99999999999999999999"),
        ("limits.connections=1.5", "must be an integer, not a float"),
        ("limits.frame_bytes=1023", "must be from 1024 to 262144, not 1023"),
        ("limits.frame_bytes=262145", "must be from 1024 to 262144, not 262145"),
        ("password.memory_kib=7", "must be from 8 to 4194304, not 7"),
        ("password.iterations=0", "must be from 1 to 1000, not 0"),
        ("session.conflict=Kick", "must be one of `kind`, `kick`, `reject`, `multi`, not `Kick`"),
        ("session.conflict=true", "must be a string, not a boolean"),
        ("contacts.approval=no", "must be true or false, not a string"),
        (
            "contacts.approval=true",
            "cannot be true: this version has no friend requests that wait for consent",
        ),
        ("legacy.msgids=[1,2,3]", MSGIDS),
        ("legacy.msgids=[1,2,3,4,5,6,7,8,9,1]", MSGIDS),
        ("legacy.msgids=[1,2,3,4,5,6,7,8,9,4294967296]", MSGIDS),
        ("legacy.object_bytes=511", "must be from 512 to 65536, not 511"),
        ("legacy.pace_ms=1001", "must be from 0 to 1000, not 1001"),
        (
            "chat.proxies=10.0.0.1",
            "must be a list of IP addresses and networks, like `[\"10.0.0.2\", \"fd00::/8\"]`",
        ),
        (
            "chat.proxies=[\"10.0.0.1/33\"]",
            "must be a list of IP addresses and networks, like `[\"10.0.0.2\", \"fd00::/8\"]`",
        ),
        (
            "http.url=chat.example",
            "must have the form `https://host` or `https://host:port` (or `http://`), without a path, not `chat.example`",
        ),
        ("http.origins=https://a", "must be a list of origins, like `[\"https://chat.example\"]`"),
        ("chat.listen=6000", "must be a string, not an integer"),
        (
            "chat.listen=localhost:6000",
            "must be an IP address and a port, like `127.0.0.1:6000` or `[::1]:6000`, not `localhost:6000`",
        ),
        ("storage.url=mysql://db/chat", "must have the form `mysql://user:password@host:port/database`"),
        (
            "storage.url=postgres://db/chat",
            "must be `sqlite:PATH` or `mysql://user:password@host:port/database`, not `postgres://db/chat`",
        ),
        ("storage.url=sqlite:", "lacks the path after `sqlite:`"),
        (
            "storage.url=sqlite:///var/chat.db",
            "has a path that begins with `//`: write `sqlite:/var/chat.db`",
        ),
        ("storage.url=sqlite::memory:", "must name a file: what is kept in memory alone is lost at the end"),
    ] {
        let key = setting.split_once('=').unwrap().0;
        assert_eq!(set(setting).unwrap_err(), format!("--set {setting}: `{key}` {sentence}"));
    }
    assert_eq!(set("limits.connections=0x10").unwrap().limits.connections, 16);
    assert_eq!(set("limits.connections=1_000").unwrap().limits.connections, 1000);
    assert_eq!(set("session.conflict=\"reject\"").unwrap().session.conflict, Conflict::Reject);

    assert_eq!(
        file_error("[limits]\n\nconnections = \"5\"\n"),
        "chat.toml:3: `limits.connections` must be an integer, not a string"
    );
    let twice = file_error("[log]\nlevel = \"info\"\nlevel = \"warn\"\n");
    assert!(twice.starts_with("chat.toml:3: invalid TOML: duplicate key"), "{twice}");
    let open = file_error("[log]\nlevel = \"info\n");
    assert!(open.starts_with("chat.toml:2: invalid TOML: "), "{open}");
}

#[test]
fn a_password_is_never_shown() {
    let config = set("storage.url=mysql://chat:geheim@db:3307/chat").unwrap();
    let StorageUrl::Mysql(database) = &config.storage.url else { panic!() };
    assert_eq!(database.password.as_deref(), Some("geheim"));
    let printed = config.to_toml();
    assert!(printed.contains("url = \"mysql://chat@db:3307/chat\"\n"), "{printed}");
    for shown in [printed, format!("{config:?}"), config.storage.url.data()] {
        assert!(!shown.contains("geheim"), "{shown}");
    }
    for bad in ["mysql://chat:geheim@db", "mysql://chat:geheim@db:x/chat", "maria://chat:geheim@db/chat"] {
        let sentence = set(&format!("storage.url={bad}")).unwrap_err();
        assert!(sentence.contains("chat:…@db") && !sentence.contains("geheim"), "{sentence}");
        let sentence = file_error(&format!("[storage]\nurl = \"{bad}\""));
        assert!(!sentence.contains("geheim"), "{sentence}");
    }
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let error = load(&["--config", "/no/such/chat.toml"]).unwrap_err().to_string();
    assert!(error.starts_with("cannot read the configuration /no/such/chat.toml: No such file"), "{error}");
}
