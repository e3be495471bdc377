//! Random texts in several scripts: a search finds what a filter over HISTORY finds, in the same order.

use super::{ANNA, BEN, Fixture, catch_up, query};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use wire::search::{Place, Search};
use wire::words::Sought;
use wire::{ConversationId, Seq, UnixMillis, UserId};

/// Parts of texts. Few, so that they meet.
const PARTS: &[&str] = &[
    "a",
    "ab",
    "abc",
    "Abcdefgh",
    "abcdexyz",
    "straße",
    "STRASSE",
    "café",
    "cafe\u{301}",
    "naïve",
    "2024",
    "东",
    "北京",
    "京",
    "大学",
    "カナ",
    "ｶﾅ",
    "がき",
    "かき",
    "서울",
    "특별시",
    "🎉",
    "❤\u{FE0F}",
    "👩\u{200D}💻",
    "🇩🇪",
    "हिन्दी",
    "\u{0}",
    "\"",
    "*",
    "AND",
    "NEAR(",
    "text:",
    "-",
    "^",
    "\u{E000}",
    "\u{F0000}\u{100001}",
    "İ",
    "ﬁ",
    "½",
    "ー",
];

fn text() -> impl Strategy<Value = String> {
    vec((select(PARTS), any::<bool>()), 1..8).prop_map(|parts| {
        parts
            .into_iter()
            .map(|(part, is_apart)| if is_apart { format!("{part} ") } else { part.to_owned() })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_search_is_a_filter_over_history(
        sent in vec((1..5u32, 1..4u32, text()), 1..60),
        later in 0..60usize,
        queries in vec((text(), 1..8u32, proptest::option::of(1..4u32), proptest::option::of((0..600u64, 0..600u64))), 12),
    ) {
        let t = Fixture::new();
        (1..4).for_each(|conversation| t.timelines.join(ConversationId(conversation), ANNA));
        let mut follower = t.open("h");
        for (n, (conversation, from, text)) in sent.iter().enumerate() {
            if n == later {
                t.timelines.join(ConversationId(4), ANNA);
                catch_up(&mut follower);
            }
            t.timelines.join(ConversationId(*conversation), BEN);
            t.timelines.send(ConversationId(*conversation), UserId(*from), text);
        }
        catch_up(&mut follower);
        for (text, limit, from, times) in queries {
            let Ok(sought) = Sought::parse(&text) else { continue };
            let from = from.map(UserId);
            let (since, until) = times.map_or((None, None), |(since, until)| (Some(UnixMillis(since)), Some(UnixMillis(until))));
            let mut expected = t.timelines.seen_by(ANNA);
            expected.retain(|message| sought.is_in(&message.content)
                && from.is_none_or(|from| message.from == from)
                && since.is_none_or(|since| message.time >= since)
                && until.is_none_or(|until| message.time <= until));
            expected.sort_by_key(|message| std::cmp::Reverse(Place::of(message)));
            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                let page = t.search(ANNA, &Search { limit, from, since, until, cursor, ..query(&text) });
                found.extend(page.messages);
                let Some(next) = page.cursor else { break };
                cursor = Some(next.parse().unwrap());
            }
            prop_assert_eq!(&found, &expected, "{:?}", text);
            // The same within one conversation.
            let within = Search { conversation: Some(ConversationId(2)), from, since, until, ..query(&text) };
            expected.retain(|message| message.conversation == ConversationId(2));
            expected.truncate(50);
            prop_assert_eq!(&t.search(ANNA, &within).messages, &expected);
        }
        prop_assert!(t.timelines.seen_by(ANNA).iter().all(|message| message.seq > Seq(0)));
    }
}
