//! One of several generator processes, and its share of a load.

use std::str::FromStr;

/// Process `number` of `of`; numbers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker {
    pub number: u32,
    pub of: u32,
}

impl FromStr for Worker {
    type Err = String;

    fn from_str(text: &str) -> Result<Worker, String> {
        let (number, of) = text.split_once('/').ok_or("must be I/N")?;
        let parse = |text: &str| text.parse::<u32>().map_err(|error| error.to_string());
        let worker = Worker { number: parse(number)?, of: parse(of)? };
        if worker.number < worker.of { Ok(worker) } else { Err("I must be below N".to_owned()) }
    }
}

impl Worker {
    /// This process's slice of `total` things: how many come before it, and how many it holds.
    pub fn slice(self, total: u32) -> (u32, u32) {
        let (each, rest) = (total / self.of, total % self.of);
        (self.number * each + self.number.min(rest), each + u32::from(self.number < rest))
    }

    /// The share of `total` that belongs to this process's slice of `lanes`: equal for every lane, but for rounding.
    pub fn share(self, total: u32, lanes: u32) -> u32 {
        let (first, count) = self.slice(lanes);
        let upto = |lane: u32| (u64::from(total) * u64::from(lane) / u64::from(lanes.max(1))) as u32;
        upto(first + count) - upto(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_and_shares_add_up_to_the_total() {
        for of in 1..7 {
            let slices: Vec<_> = (0..of).map(|number| Worker { number, of }.slice(20)).collect();
            assert_eq!(slices.iter().map(|slice| slice.1).sum::<u32>(), 20);
            assert!(slices.windows(2).all(|two| two[0].0 + two[0].1 == two[1].0));
        }
        for (total, lanes, of) in [(900, 3, 2), (7, 5, 4), (1_000, 64, 7), (3, 3, 3)] {
            let shares: Vec<_> = (0..of).map(|number| Worker { number, of }.share(total, lanes)).collect();
            assert_eq!(shares.iter().sum::<u32>(), total);
            for (number, share) in (0..).zip(shares) {
                let lanes_here = f64::from(Worker { number, of }.slice(lanes).1);
                let want = lanes_here * f64::from(total) / f64::from(lanes);
                assert!((f64::from(share) - want).abs() < 1.0 + 1e-9, "{total} {lanes} {of}");
            }
        }
    }

    #[test]
    fn a_worker_is_a_number_below_the_count() {
        assert!("3/3".parse::<Worker>().is_err() && "x".parse::<Worker>().is_err());
        assert_eq!("1/3".parse(), Ok(Worker { number: 1, of: 3 }));
    }
}
