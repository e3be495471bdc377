//! Which phase of the test it is, and how long requests took in each.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The phases, in the order in which each round has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Quiet = 0,
    Attack = 1,
    /// The attack is over. What is sent meanwhile must succeed, but its latency is not compared.
    Settling = 2,
}

/// One phase of one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    pub phase: Phase,
    round: usize,
}

/// Tells all threads of the test which phase it is. It begins with a phase that is not measured.
#[derive(Clone, Debug)]
pub struct Stage(Arc<AtomicUsize>);

const OVER: usize = usize::MAX;
const BEFORE: usize = Phase::Settling as usize;

impl Stage {
    pub fn new() -> Stage {
        Stage(Arc::new(AtomicUsize::new(BEFORE)))
    }

    pub fn enter(&self, phase: Phase) {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        assert_eq!(number % 3, phase as usize, "phases have an order");
    }

    pub fn end(&self) {
        self.0.store(OVER, Ordering::Relaxed);
    }

    /// `None`: it is over.
    pub fn scene(&self) -> Option<Scene> {
        let number = self.0.load(Ordering::Relaxed);
        let phase = [Phase::Quiet, Phase::Attack, Phase::Settling][number % 3];
        (number != OVER).then_some(Scene { phase, round: number / 3 })
    }
}

/// How long requests of one kind took.
#[derive(Debug, Default)]
pub struct Samples(Vec<(Scene, Duration)>);

impl Samples {
    /// Records a request that was sent in this scene and was answered now.
    pub fn add(&mut self, sent_in: Scene, stage: &Stage, begun: Instant) {
        let took = begun.elapsed();
        // An attack delays what was sent shortly before it.
        if sent_in.phase != Phase::Quiet || stage.scene() == Some(sent_in) {
            self.0.push((sent_in, took));
        }
    }

    pub fn append(&mut self, mut other: Samples) {
        self.0.append(&mut other.0);
    }

    pub fn of(&self, phase: Phase) -> Summary {
        let rounds = self.0.iter().map(|(scene, _)| scene.round + 1).max().unwrap_or(0);
        let mut of_rounds = vec![Vec::new(); rounds];
        for (scene, took) in self.0.iter().filter(|(scene, _)| scene.phase == phase) {
            of_rounds[scene.round].push(*took);
        }
        of_rounds.retain(|round| !round.is_empty());
        Summary(of_rounds)
    }
}

/// How long requests of one kind took in the phases of one kind, each apart.
#[derive(Debug)]
pub struct Summary(Vec<Vec<Duration>>);

impl Summary {
    pub fn count(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// The median of the 99th percentiles of all phases.
    pub fn typical_p99(&self) -> Duration {
        percentile(self.p99s(), 50)
    }

    fn p99s(&self) -> Vec<Duration> {
        self.0.iter().map(|round| percentile(round.clone(), 99)).collect()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [all, p99s] = [self.0.concat(), self.p99s()];
        let [median, p99] = [50, 99].map(|nth| percentile(all.clone(), nth));
        let (least, typical, most) = (p99s.iter().min(), self.typical_p99(), p99s.iter().max());
        let ([least, most], count) = ([least, most].map(|p99| p99.copied().unwrap_or_default()), all.len());
        write!(
            f,
            "p99 {typical:.1?} ({least:.1?} to {most:.1?}, overall {p99:.1?}), median {median:.1?} of {count}"
        )
    }
}

fn percentile(mut all: Vec<Duration>, nth: usize) -> Duration {
    all.sort_unstable();
    all.get((all.len() * nth / 100).min(all.len().saturating_sub(1))).copied().unwrap_or_default()
}
