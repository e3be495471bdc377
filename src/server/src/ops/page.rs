//! The status page: a table that refreshes itself, without scripts.

use serde_json::Value;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta http-equiv=\"refresh\" content=\"5\">\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>chatserver</title><style>\n\
:root{color-scheme:light dark}\n\
body{font:16px/1.5 system-ui,sans-serif;margin:1.5em auto;max-width:42em;padding:0 1em}\n\
h1{font-size:1.4em}h2{font-size:1em;margin:1.5em 0 0;opacity:.7}\n\
table{border-collapse:collapse;width:100%}\n\
th,td{text-align:left;padding:.3em 0;border-bottom:1px solid #8884;font-weight:normal}\n\
td{text-align:right;font-variant-numeric:tabular-nums}\n\
.good{color:light-dark(#0a6b2d,#6fdc8c)}.bad{color:light-dark(#b3121d,#ff8389);font-weight:bold}\n\
</style></head><body>\n";

/// The page of a state.
pub fn of(status: &Value) -> String {
    let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
    let state = match status["not_ready"].as_str() {
        None => good("ready"),
        Some(why) => bad(why),
    };
    let up = |key: &str| match status[key].as_bool() {
        Some(true) => good("up"),
        Some(false) => bad("away"),
        None => escaped("not used"),
    };
    let sections = [
        section(
            "Server",
            &[
                ("State", state),
                ("Node", escaped(&text("node"))),
                ("Version", escaped(&text("version"))),
                ("Running for", lasting(&status["uptime_seconds"])),
                ("Database", up("database")),
                ("Redis", up("redis")),
                ("Certificate expires in", certificate(&status["certificate_expires_in_seconds"])),
                ("Memory", megabytes(&status["memory_bytes"])),
            ],
        ),
        section("Clients", &numbers(status, &[("Connections", "connections"), ("Sessions", "sessions")])),
        section(
            "Messages",
            &[
                numbers(status, &[("Stored", "messages_stored"), ("Delivered", "messages_delivered")]),
                vec![
                    ("Delivered within, median", milliseconds(&status["delivery_p50_seconds"])),
                    ("Delivered within, 99 %", milliseconds(&status["delivery_p99_seconds"])),
                    ("Durable within, median", milliseconds(&status["commit_p50_seconds"])),
                    ("Durable within, 99 %", milliseconds(&status["commit_p99_seconds"])),
                    ("Search is behind by", milliseconds(&status["search_lag_seconds"])),
                ],
                numbers(status, &[("Not in the tables yet", "unfiled_messages")]),
            ]
            .concat(),
        ),
        section(
            "Requests",
            &numbers(
                status,
                &[("Answered", "requests"), ("Refused", "refused"), ("Waiting", "pending_requests")],
            ),
        ),
    ];
    format!("{HEAD}<h1>chatserver</h1>\n{}</body></html>\n", sections.concat())
}

fn section(title: &str, rows: &[(&str, String)]) -> String {
    let rows: String =
        rows.iter().map(|(name, value)| format!("<tr><th>{name}</th><td>{value}</td></tr>\n")).collect();
    format!("<h2>{title}</h2>\n<table>\n{rows}</table>\n")
}

fn numbers<'a>(status: &Value, rows: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    rows.iter().map(|&(name, key)| (name, grouped(status[key].as_u64().unwrap_or_default()))).collect()
}

/// With a narrow space between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let observed: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).unwrap_or("")).collect();
    observed.join("\u{202f}")
}

fn lasting(seconds: &Value) -> String {
    match seconds.as_u64().unwrap_or_default() {
        few @ ..120 => format!("{few} s"),
        few @ ..7_200 => format!("{} min", few / 60),
        few @ ..172_800 => format!("{} h", few / 3_600),
        many => format!("{} days", many / 86_400),
    }
}

fn certificate(seconds: &Value) -> String {
    match seconds.as_i64() {
        None => escaped("no TLS"),
        Some(..=0) => bad("has expired"),
        Some(seconds @ ..1_209_600) => bad(&format!("{} days", seconds / 86_400)),
        Some(seconds) => format!("{} days", seconds / 86_400),
    }
}

fn milliseconds(seconds: &Value) -> String {
    seconds.as_f64().map_or_else(|| "–".to_owned(), |seconds| format!("{} ms", (seconds * 1e5).round() / 1e2))
}

fn megabytes(bytes: &Value) -> String {
    bytes.as_u64().map_or_else(|| "–".to_owned(), |bytes| format!("{} MiB", bytes >> 20))
}

fn good(text: &str) -> String {
    format!("<span class=\"good\">{}</span>", escaped(text))
}

fn bad(text: &str) -> String {
    format!("<span class=\"bad\">{}</span>", escaped(text))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
