//! `chatbench compare`: the results of two runs, or of two suites, side by side.

use crate::args::CompareArgs;
use crate::error::Error;
use crate::results::{ENDED_EARLY, is_generator_bound, load};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;

/// Prints all figures that both files hold, with their ratios.
pub fn run(files: &CompareArgs) -> Result<(), Error> {
    let text = compare(&load(&files.before)?, &load(&files.after)?)?;
    // A closed pipe is no reason to fail.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// The name of a result; results of the same name are compared.
fn name(result: &Map<String, Value>) -> &str {
    result.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn compare(before: &[Map<String, Value>], after: &[Map<String, Value>]) -> Result<String, Error> {
    let mut text = String::new();
    for old in before.iter().filter(|old| !name(old).is_empty()) {
        // Runs append to a file, so the last result of a name counts.
        let Some(new) = after.iter().rfind(|new| name(new) == name(old)) else { continue };
        if before.iter().rfind(|other| name(other) == name(old)).is_some_and(|last| !std::ptr::eq(last, old))
        {
            continue;
        }
        let _ = writeln!(text, "{}\n  {:<38} {:>14} {:>14} {:>9}", name(old), "", "before", "after", "ratio");
        for (key, then, now) in differences(old, new) {
            let _ = writeln!(text, "  NOTE: the loads differ: {key} was {then} and is {now}");
        }
        for (which, result) in [("before", old), ("after", new)] {
            for caveat in caveats(result) {
                let _ = writeln!(text, "  NOTE: {which}: {caveat}");
            }
        }
        for (key, then, now) in figures(old, new) {
            let ratio = if then == 0.0 { String::new() } else { format!("{:.3}", now / then) };
            let _ = writeln!(text, "  {key:<38} {:>14} {:>14} {ratio:>9}", shown(then), shown(now));
        }
    }
    if text.is_empty() {
        return Err(Error::Usage("the two files have no run of the same name (see --name)".to_owned()));
    }
    for (one, other, which) in [(before, after, "before"), (after, before, "after")] {
        let alone = one.iter().filter(|result| !other.iter().any(|other| name(other) == name(result)));
        let names: BTreeSet<&str> = alone.map(name).collect();
        if !names.is_empty() {
            let names: Vec<&str> = names.into_iter().collect();
            let _ = writeln!(text, "only {which}: {}", names.join("; "));
        }
    }
    Ok(text)
}

/// The keys that define the load.
const LOAD: [&str; 19] = [
    "workload",
    "dialect",
    "addresses",
    "ramp",
    "warmup",
    "pairs",
    "conversations",
    "window",
    "rate",
    "size",
    "groups",
    "members",
    "senders",
    "count",
    "by",
    "connections",
    "messages",
    "circles",
    "mix",
];

/// The keys of the load that differ, with both values.
fn differences<'a>(
    old: &'a Map<String, Value>,
    new: &'a Map<String, Value>,
) -> impl Iterator<Item = (&'static str, &'a Value, &'a Value)> {
    let both = |key: &&'static str| Some((*key, old.get(*key)?, new.get(*key)?));
    LOAD.iter().filter_map(both).filter(|(_, then, now)| then != now)
}

/// Why the figures of a result may mislead.
fn caveats(result: &Map<String, Value>) -> Vec<&'static str> {
    let mut caveats = Vec::new();
    if result.get("clean").and_then(Value::as_bool) == Some(false) {
        caveats.push("the run was faulty: its figures may be wrong");
    }
    if result.get(ENDED_EARLY).and_then(Value::as_bool) == Some(true) {
        caveats.push("the run was ended early");
    }
    if is_generator_bound(result) {
        caveats.push("the generator was the bottleneck");
    }
    caveats
}

/// The figures that both results have, without those that are 0 in both.
fn figures<'a>(
    old: &'a Map<String, Value>,
    new: &'a Map<String, Value>,
) -> impl Iterator<Item = (&'a String, f64, f64)> {
    let both = |(key, then): (&'a String, &'a Value)| Some((key, then.as_f64()?, new.get(key)?.as_f64()?));
    old.iter().filter_map(both).filter(|(_, then, now)| *then != 0.0 || *now != 0.0)
}

fn shown(figure: f64) -> String {
    if figure.abs() >= 1_000.0 || figure.fract() == 0.0 {
        format!("{figure:.0}")
    } else {
        format!("{figure:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::parse;

    #[test]
    fn runs_with_the_same_name_are_compared_by_ratio() {
        let before = parse("{\"name\":\"a\",\"us\":2.0,\"lost\":0,\"text\":\"x\"}\n").unwrap();
        let after =
            r#"{"commit":"c","runs":[{"name":"b","us":1.0},{"name":"a","us":3.0,"lost":0,"text":"y"}]}"#;
        let text = compare(&before, &parse(after).unwrap()).unwrap();
        assert!(text.contains("us") && text.contains("1.500"), "{text}");
        assert!(!text.contains("lost") && !text.contains("text"), "{text}");
        assert!(compare(&before, &parse("{\"name\":\"c\"}").unwrap()).is_err());
        assert!(text.contains("only after: b\n") && !text.contains("only before"), "{text}");
        let broken = parse("{\"name\":\"a\",\"us\":0.1,\"clean\":false}").unwrap();
        assert!(compare(&before, &broken).unwrap().contains("NOTE: after: the run was faulty"));
        assert!(parse("no json").is_none());
    }

    #[test]
    fn the_last_result_of_a_name_counts() {
        let lines = |a: f64, b: f64| {
            parse(&format!("{{\"name\":\"a\",\"us\":{a}}}\n{{\"name\":\"a\",\"us\":{b}}}\n")).unwrap()
        };
        let text = compare(&lines(9.0, 2.0), &lines(9.0, 1.0)).unwrap();
        assert!(text.contains("0.500") && !text.contains("1.000"), "{text}");
    }

    #[test]
    fn differing_loads_and_incomplete_runs_are_noted() {
        let read = |text: &str| parse(text).unwrap();
        let slow = read(r#"{"name":"a","workload":"pairs","rate":1000,"us":1.0}"#);
        let text = compare(
            &slow,
            &read(r#"{"name":"a","workload":"pairs","rate":null,"ended_early":true,"us":2.0}"#),
        );
        let text = text.unwrap();
        assert!(text.contains("NOTE: the loads differ: rate was 1000 and is null\n"), "{text}");
        assert!(text.contains("NOTE: after: the run was ended early\n"), "{text}");
        assert!(
            compare(&read(r#"{"us":1.0}"#), &read(r#"{"us":1.0}"#)).is_err(),
            "runs without a name are not compared"
        );
    }
}
