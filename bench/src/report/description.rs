//! A workload in words and in numbers.

use crate::args::{CommonArgs, Workload};
use crate::format::grouped;
use serde_json::{Map, Value, json};
use wire::Dialect;

#[derive(Debug)]
pub struct Description {
    pub title: String,
    /// The options that define the load, as keys of the result.
    pub options: Map<String, Value>,
}

pub fn describe(workload: &Workload) -> Description {
    let pace = |window: Option<u32>, rate: Option<u32>, unit: &str| match (window, rate) {
        (Some(window), _) => format!("window {window}"),
        (_, rate) => format!("{} {unit}/s", grouped(u64::from(rate.unwrap_or_default()))),
    };
    let (kind, title, options) = match workload {
        Workload::Pairs(args) => {
            let over = match args.conversations {
                1 => String::new(),
                many => format!(" over {} conversations", grouped(u64::from(many * args.pairs))),
            };
            let pace = pace(args.pace.window, args.pace.rate, "messages");
            let title = format!("{} pairs{over}, {pace}, {} bytes", args.pairs, args.size);
            let (window, rate) = (args.pace.window, args.pace.rate);
            let options = json!({"pairs": args.pairs, "conversations": args.conversations, "window": window,
                "rate": rate, "size": args.size});
            ("pairs", title, options)
        }
        Workload::Group(args) => {
            let (groups, members, senders) = (args.groups, args.members, args.senders);
            let pace = pace(args.pace.window, args.pace.rate, "messages");
            let title =
                format!("{groups} groups of {members}, {senders} senders, {pace}, {} bytes", args.size);
            let (window, rate) = (args.pace.window, args.pace.rate);
            let options = json!({"groups": groups, "members": members, "senders": senders, "window": window,
                "rate": rate, "size": args.size});
            ("group", title, options)
        }
        Workload::Login(args) => {
            let by = match args.common.dialect() {
                Dialect::Tlv => format!("{:?}", args.by).to_lowercase(),
                // The legacy dialect has no tokens.
                Dialect::Legacy => "password".to_owned(),
            };
            let title = format!(
                "logins of {} accounts by {by}, {}",
                args.count,
                pace(args.window, args.rate, "logins")
            );
            ("login", title, json!({"count": args.count, "window": args.window, "rate": args.rate, "by": by}))
        }
        Workload::Storm(args) => {
            let title = format!(
                "{} clients reconnect at once, {} pairs send {} messages/s",
                grouped(u64::from(args.connections)),
                args.pairs,
                grouped(u64::from(args.rate))
            );
            ("storm", title, json!({"connections": args.connections, "pairs": args.pairs, "rate": args.rate}))
        }
        Workload::Idle(args) => {
            let title = format!("{} idle logged-in connections", grouped(u64::from(args.connections)));
            ("idle", title, json!({"connections": args.connections, "heartbeat": args.heartbeat}))
        }
        Workload::Offline(args) => {
            let messages = grouped(u64::from(args.messages));
            let title = format!("{messages} messages of {} bytes to {} offline users", args.size, args.pairs);
            let options = json!({"messages": args.messages, "pairs": args.pairs, "window": args.window,
                "size": args.size});
            ("offline", title, options)
        }
        Workload::Mixed(args) => {
            let (circles, members, rate) = (args.circles, args.members, grouped(u64::from(args.rate)));
            let (mix, seed) = (args.mix, args.seed);
            let title =
                format!("{circles} circles of {members} friends, {rate} actions/s, mix {mix}, seed {seed}");
            let options = json!({"circles": circles, "members": members, "rate": args.rate, "seed": args.seed,
                "mix": args.mix.0, "size": args.size});
            ("mixed", title, options)
        }
    };
    let CommonArgs { dialect, address, ramp, warmup, .. } = workload.common();
    let dialect = format!("{dialect:?}").to_lowercase();
    let mut all = Map::new();
    all.insert("workload".into(), json!(kind));
    all.insert("dialect".into(), json!(dialect));
    all.insert("addresses".into(), json!(address.len()));
    all.insert("ramp".into(), json!(ramp));
    all.insert("warmup".into(), json!(warmup));
    if let Value::Object(options) = options {
        all.extend(options);
    }
    let title = if dialect == "legacy" { format!("legacy: {title}") } else { title };
    Description { title, options: all }
}
