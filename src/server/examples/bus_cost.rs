//! What authentication costs for each hint: `cargo run --release -p chatserver --example bus_cost`.

#![forbid(unsafe_code)]

use chatserver::bus::codec;
use chatserver::bus::inspector::Inspector;
use chatserver::bus::names::Names;
use chatserver::bus::seal::{Keys, Sealer};
use logic::bus::{Channel, Hint};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use storage::{BusKey, PeerView, Peers};
use wire::{ConversationId, ConversationKind, Message, Seq, UnixMillis, UserId, message};

const HINTS: usize = 200_000;
const CONTENT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn main() {
    let key = BusKey { id: 1, secret: [7; 32], since: UnixMillis(0) };
    let clock =
        UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64);
    let runs = ["n1~0123456789abcdef", "n2~0123456789abcdef"].map(Into::into).into();
    let view = Arc::new(PeerView::new(Peers { keys: vec![key], runs, clock, read_at: Instant::now() }));
    let names = Names::new("0123456789abcdef0123456789abcdef");
    let mut sealer = Sealer::new(Keys::new(Arc::clone(&view)), "n2~0123456789abcdef".into());
    let mut inspector =
        Inspector::new(names.clone(), Keys::new(Arc::clone(&view)), "n1~0123456789abcdef".into());
    let place = names.channel(&Channel::User(UserId(4321)));
    let hint = hint();

    let mut encoded = Vec::new();
    let encoding = time(|| {
        encoded.clear();
        codec::encode(&hint, &mut encoded);
    });
    let decoding = time(|| assert!(codec::decode(&encoded).is_some()));
    let mut sealed = Vec::with_capacity(HINTS);
    let sealing = time(|| sealed.push(sealer.seal(&place, |out| codec::encode(&hint, out))));
    let mut next = sealed.iter();
    let inspecting = time(|| {
        let payload = next.next().expect("as many as were sealed");
        assert!(inspector.inspect(place.as_bytes(), payload).is_ok());
    });
    println!("nanoseconds of processor time for a hint of {} bytes ({HINTS} hints):", sealed[0].len());
    println!(
        "  encode {encoding:>6.0}, encode and seal    {sealing:>6.0}, so sealing  {:>6.0}",
        sealing - encoding
    );
    println!(
        "  decode {decoding:>6.0}, check and decode   {inspecting:>6.0}, so checking {:>6.0}",
        inspecting - decoding
    );
}

/// Nanoseconds of processor time for each of [`HINTS`] repetitions, whatever else the machine does.
fn time(mut work: impl FnMut()) -> f64 {
    let used = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    };
    let begun = used();
    (0..HINTS).for_each(|_| work());
    (used() - begun) / HINTS as f64
}

fn hint() -> Hint {
    let message = Message {
        conversation: ConversationId(1234),
        kind: ConversationKind::Direct,
        seq: Seq(567_890),
        from: UserId(1234),
        name: "zhang san".into(),
        content_type: "text".into(),
        content: CONTENT.into(),
        time: UnixMillis(1_700_000_000_000),
        cid: Some("00000500abcdef000000004d".into()),
        extra: None,
    };
    Hint::Push { push: message::Push::New(Arc::new(message)).into() }
}
