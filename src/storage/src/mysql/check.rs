//! The requirements on a database server, and what to change if it does not meet them.

use std::collections::HashMap;

/// The smallest `max_allowed_packet` that fits a batch of the longest messages.
pub const PACKET_MIN: u64 = 4 << 20;

/// The server's variables that are checked.
pub const VARIABLES: &[&str] = &[
    "version",
    "innodb_flush_log_at_trx_commit",
    "innodb_doublewrite",
    "log_bin",
    "sync_binlog",
    "binlog_format",
    "max_allowed_packet",
    "character_set_database",
];

/// A server's variables, by name.
pub type Variables = HashMap<String, String>;

/// Checks whether the server can be used at all. The error says what to change.
pub fn fitness(variables: &Variables, database: &str) -> Result<(), String> {
    let value = |name: &str| variables.get(name).map_or("", String::as_str);
    let version = value("version");
    let is_mariadb = version.contains("MariaDB");
    let (oldest, name) = if is_mariadb { ((10, 6, 0), "MariaDB 10.6") } else { ((8, 0, 16), "MySQL 8.0.16") };
    if number(version) < oldest {
        return Err(format!("the database server has version {version}, but at least {name} is required"));
    }
    if value("character_set_database") != "utf8mb4" {
        return Err(format!(
            "the database `{database}` has the character set `{}`; run ALTER DATABASE `{database}` CHARACTER SET \
             utf8mb4",
            value("character_set_database")
        ));
    }
    if is_on(value("log_bin")) && value("binlog_format") == "STATEMENT" {
        return Err("the database server's binlog_format is STATEMENT, which is unsafe for the statements used; run SET \
                    GLOBAL binlog_format = ROW, and set it in the server's configuration"
            .to_owned());
    }
    let packet = value("max_allowed_packet").parse().unwrap_or(u64::MAX);
    if packet < PACKET_MIN {
        return Err(format!(
            "the database server's max_allowed_packet is {packet}; run SET GLOBAL max_allowed_packet = {}, and set it in \
             the server's configuration",
            16 << 20
        ));
    }
    Ok(())
}

/// Returns why the server may lose acknowledged messages when its machine fails, and what to change; `None`: it does
/// not.
pub fn weakness(variables: &Variables) -> Option<String> {
    let value = |name: &str| variables.get(name).map_or("", String::as_str);
    let mut wrong = Vec::new();
    if value("innodb_flush_log_at_trx_commit") != "1" {
        wrong.push(("innodb_flush_log_at_trx_commit", "1", true));
    }
    if matches!(value("innodb_doublewrite"), "OFF" | "0" | "DETECT_ONLY") {
        wrong.push(("innodb_doublewrite", "ON", false));
    }
    if is_on(value("log_bin")) && value("sync_binlog") != "1" {
        wrong.push(("sync_binlog", "1", true));
    }
    if wrong.is_empty() {
        return None;
    }
    let found: Vec<String> = wrong.iter().map(|(name, ..)| format!("{name} = {}", value(name))).collect();
    let lines: Vec<String> = wrong.iter().map(|(name, good, _)| format!("{name} = {good}")).collect();
    let restart = if wrong.iter().all(|(.., at_once)| *at_once) { "" } else { " and restart it" };
    Some(format!(
        "the database server may lose acknowledged messages when its machine fails ({}); set {} in the [mysqld] section of \
         its configuration{restart}",
        found.join(", "),
        lines.join(" and ")
    ))
}

fn is_on(value: &str) -> bool {
    matches!(value, "ON" | "1")
}

fn number(version: &str) -> (u32, u32, u32) {
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(changes: &[(&str, &str)]) -> Variables {
        let good = [
            ("version", "10.11.19-MariaDB-0+deb12u1"),
            ("innodb_flush_log_at_trx_commit", "1"),
            ("innodb_doublewrite", "ON"),
            ("log_bin", "OFF"),
            ("sync_binlog", "0"),
            ("binlog_format", "MIXED"),
            ("max_allowed_packet", "16777216"),
            ("character_set_database", "utf8mb4"),
        ];
        good.iter().chain(changes).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn weak_settings_are_reported_with_what_to_change() {
        assert_eq!(weakness(&with(&[])), None);
        assert_eq!(weakness(&with(&[("log_bin", "ON"), ("sync_binlog", "1")])), None);
        assert_eq!(weakness(&with(&[("innodb_doublewrite", "DETECT_AND_RECOVER")])), None);
        for (changes, says) in [
            (&[("innodb_flush_log_at_trx_commit", "2")][..], "set innodb_flush_log_at_trx_commit = 1 in"),
            (
                &[("innodb_doublewrite", "OFF")],
                "set innodb_doublewrite = ON in the [mysqld] section of its configuration and restart",
            ),
            (&[("log_bin", "ON"), ("sync_binlog", "0")], "(sync_binlog = 0)"),
            (
                &[("log_bin", "ON"), ("sync_binlog", "100"), ("innodb_flush_log_at_trx_commit", "0")],
                "set innodb_flush_log_at_trx_commit = 1 and sync_binlog = 1 in",
            ),
        ] {
            let sentence = weakness(&with(changes)).unwrap();
            assert!(sentence.contains(says), "{sentence}");
        }
    }

    #[test]
    fn unusable_servers_are_reported_with_what_to_change() {
        assert_eq!(fitness(&with(&[]), "chat"), Ok(()));
        assert_eq!(fitness(&with(&[("version", "8.0.36")]), "chat"), Ok(()));
        for (changes, says) in [
            (&[("version", "10.5.9-MariaDB")][..], "MariaDB 10.6"),
            (&[("version", "5.7.44-log")], "MySQL 8.0.16"),
            (&[("character_set_database", "latin1")], "ALTER DATABASE `chat` CHARACTER SET utf8mb4"),
            (&[("log_bin", "ON"), ("binlog_format", "STATEMENT")], "SET GLOBAL binlog_format = ROW"),
            (&[("max_allowed_packet", "1048576")], "SET GLOBAL max_allowed_packet = 16777216"),
        ] {
            let sentence = fitness(&with(changes), "chat").unwrap_err();
            assert!(sentence.contains(says), "{sentence}");
        }
    }
}
