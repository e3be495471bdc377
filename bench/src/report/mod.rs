//! The results of a run: printed, appended to a file as JSON, or written as an HTML page.

mod bottleneck;
mod description;
mod html;
mod json;
mod plot;
mod publish;
mod run_report;
mod table;

pub use publish::{check, publish};
pub use run_report::RunReport;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Task};
    use crate::ledger::Faults;
    use crate::measure::{Measurement, Tally, Usage};
    use crate::outcome::Outcome;
    use clap::Parser;
    use serde_json::json;

    fn tally() -> Tally {
        let mut tally = Tally {
            nanoseconds: 2_000_000_000,
            sent: 1_234_567,
            done: 1_000_000,
            server: Some(Usage { cpu_ns: 1_500_000_000, user_share: 0.5, ..Usage::default() }),
            generators: 1,
            ..Tally::default()
        };
        tally.ack.record(10_000);
        tally
    }

    fn report(tally: Tally) -> RunReport {
        let args = Args::parse_from(["chatbench", "pairs", "--pairs", "2", "--window", "1"]);
        let Task::Load(load) = args.task else { panic!("not a load") };
        let measurement = Measurement::new("", "message", "delivery", tally);
        RunReport::new(&load, vec![measurement])
    }

    #[test]
    fn figures_are_those_of_the_measured_time() {
        let report = report(tally());
        assert_eq!(report.outcome(), Outcome::Clean);
        let result = json::result(&report);
        assert_eq!(result["delivered_per_second"], 500_000.0);
        assert_eq!(result["server_us_per_message"], 1.5);
        assert!((9.9..10.1).contains(&result["ack_p50_us"].as_f64().unwrap()));
        assert_eq!((&result["workload"], &result["pairs"]), (&json!("pairs"), &json!(2)));
        assert!(report.to_string().contains("500,000/s (1,000,000 in 2.00 s)"), "{report}");
    }

    #[test]
    fn every_fault_and_every_error_fails_the_run_and_is_reported() {
        let faulty: [fn(&mut Faults); 7] = [
            |f| f.lost = 1,
            |f| f.duplicated = 1,
            |f| f.out_of_order = 1,
            |f| f.wrong_content = 1,
            |f| f.wrong_seq = 1,
            |f| f.unanswered = 1,
            |f| f.stray_replies = 1,
        ];
        for (fault, name) in faulty.iter().zip(Faults::default().named().map(|named| named.0)) {
            let mut tally = tally();
            fault(&mut tally.faults);
            let report = report(tally);
            assert_eq!((report.outcome(), &json::result(&report)[name]), (Outcome::Faulty, &json!(1)));
        }
        let mut refused = tally();
        refused.errors.note("RATE_LIMITED");
        let report_of_refused = report(refused);
        assert_eq!(report_of_refused.outcome(), Outcome::Faulty);
        assert!(report_of_refused.to_string().contains("limits.messages_per_second=0"));
        assert_eq!(report(Tally { done: 0, ..tally() }).outcome(), Outcome::Faulty);
    }

    #[test]
    fn a_saturated_generator_is_reported_as_the_bottleneck() {
        let is_reported = |change: fn(&mut Tally)| {
            let mut tally = tally();
            change(&mut tally);
            report(tally).to_string().contains("the generator was the bottleneck")
        };
        assert!(!is_reported(|_| {}));
        assert!(is_reported(|tally| tally.generator.cpu_ns = 1_950_000_000));
        assert!(is_reported(|tally| {
            (tally.generators, tally.generator.cpu_ns) = (4, 4_000_000_000);
            tally.generator.threads = vec![("chatbench".into(), 1_950_000_000)];
        }));
        assert!(is_reported(
            |tally| (tally.generator.cpu_ns, tally.generator.starved_ns) = (1_200_000_000, 790_000_000)
        ));
        assert!(is_reported(|tally| {
            (0..100).for_each(|_| tally.lag.record(900_000));
            tally.latency.record(1_000_000);
        }));
    }
}
