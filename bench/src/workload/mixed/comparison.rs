//! The end state of every conversation at every client: what each one shows is compared with HISTORY, what HISTORY shows
//! to one member with what it shows to the others, and both with what the server answered during the load.

use super::change::Answered;
use super::search::{Missing, Query, Verdict};
use super::view::{Timeline, View};
use crate::accounts::{Account, in_parallel, unexpected};
use crate::client::Client;
use crate::endpoints::Endpoints;
use crate::error::Error;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};
use wire::change::Reaction;
use wire::limits::REACTION_IDS;
use wire::{ChangeKind, Command, ConversationId, Direction, Message, Reply, Seq, UserId, timeline};

/// Entries of a page of HISTORY.
const PAGE: u32 = 200;
/// How long the index may take to have everything.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two searches while it does not.
const PAUSE: Duration = Duration::from_millis(100);
/// Texts that each client searches for at the end, and recalled texts.
const SEARCHES: usize = 3;

/// A client after the load.
#[derive(Debug)]
pub struct Finished {
    /// The number of its connection.
    pub number: u64,
    pub account: Account,
    pub view: View,
    pub answered: Answered,
    pub missing: Vec<Missing>,
}

/// What was compared, and what differs.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Entries compared, at every client.
    pub entries: u64,
    /// Searches whose answer had what it must.
    pub searches: u64,
    pub differences: Vec<String>,
}

/// The entries of a conversation as one member sees them.
type Entries = BTreeMap<Seq, Message>;

/// Compares the clients of each circle. Each one logs in again, in a cluster at another node than during the load.
///
/// # Errors
/// The server does not answer.
pub fn compare(
    endpoints: &Endpoints,
    circles: Vec<Vec<Finished>>,
    has_searches: bool,
) -> Result<Comparison, Error> {
    let parts = in_parallel(circles, |circles| {
        circles.into_iter().map(|circle| compare_circle(endpoints, &circle, has_searches)).collect()
    })?;
    Ok(parts.into_iter().fold(Comparison::default(), |mut whole, part| {
        whole.entries += part.entries;
        whole.searches += part.searches;
        whole.differences.extend(part.differences);
        whole
    }))
}

fn compare_circle(
    endpoints: &Endpoints,
    circle: &[Finished],
    has_searches: bool,
) -> Result<Comparison, Error> {
    let mut comparison = Comparison::default();
    // What the first member of each conversation read.
    let mut first: BTreeMap<ConversationId, (&Account, Entries)> = BTreeMap::new();
    for finished in circle {
        let Finished { number, account, view, .. } = finished;
        let mut note = |what: String| comparison.differences.push(format!("{}: {what}", account.name));
        let mut client = Client::connect(endpoints, number + 1)?;
        let login = account.login(account.cheapest_login());
        client.send(&login, 1)?;
        client.answer("LOGIN", &login)?;
        for timeline in view.timelines() {
            let conversation = timeline.conversation;
            let history = read(&mut client, timeline)?;
            comparison.entries += history.len() as u64;
            for what in differences(&timeline.entries, &history, circle.len()) {
                note(format!("conversation {conversation}, {what}"));
            }
            for what in broken_answers(finished, timeline, &history) {
                note(format!("conversation {conversation}, {what}"));
            }
            match first.get(&conversation) {
                None => drop(first.insert(conversation, (account, history))),
                Some((other, theirs)) => {
                    for what in differences_of_members(theirs, &history) {
                        note(format!("conversation {conversation}, unlike {}: {what}", other.name));
                    }
                }
            }
        }
        for what in missing_results(finished) {
            note(what);
        }
        if has_searches {
            comparison.searches += search(&mut client, finished, &mut note)?;
        }
    }
    Ok(comparison)
}

/// Reads a conversation from its `base` on.
fn read(client: &mut Client, timeline: &Timeline) -> Result<Entries, Error> {
    let (mut entries, mut after) = (Entries::new(), timeline.base);
    loop {
        let (conversation, direction) = (timeline.conversation, Direction::After(after));
        let history = timeline::History { conversation, direction, limit: PAGE, with_changes: true };
        let history = Command::Timeline(timeline::Request::History(history));
        client.send(&history, 1)?;
        let page = match client.answer("HISTORY", &history)? {
            Reply::Timeline(timeline::Reply::History(page)) => page,
            other => return Err(unexpected("HISTORY", &other)),
        };
        let Some(last) = page.messages.last() else { return Ok(entries) };
        after = last.seq;
        entries.extend(page.messages.iter().map(|message| (message.seq, (**message).clone())));
        if !page.more {
            return Ok(entries);
        }
    }
}

/// Where what a client shows differs from what it read. `members`: of its circle.
fn differences(shown: &Entries, read: &Entries, members: usize) -> Vec<String> {
    let mut found = Vec::new();
    for (seq, entry) in shown {
        match read.get(seq) {
            None => found.push(format!("entry {seq}: shown as {}, not in HISTORY", describe(entry))),
            Some(other) if !is_same(entry, other, shown, members) => found.push(format!(
                "entry {seq}: shown as {}, in HISTORY {}",
                describe(entry),
                describe(other)
            )),
            Some(_) => {}
        }
    }
    let absent = read.iter().filter(|(seq, _)| !shown.contains_key(seq));
    found
        .extend(absent.map(|(seq, entry)| format!("entry {seq}: not shown, in HISTORY {}", describe(entry))));
    found
}

/// Whether `read`, from HISTORY, is what `entry` shows.
fn is_same(entry: &Message, read: &Message, shown: &Entries, members: usize) -> bool {
    let has_same_text = match entry.change() {
        Some(change) if change.kind == ChangeKind::Edit => {
            // HISTORY has its text exactly as long as no later change has replaced that.
            let replaces = |later: &Message| {
                later.change().is_some_and(|other| {
                    other.of == change.of && !matches!(other.kind, ChangeKind::Reaction { .. })
                })
            };
            let is_replaced = shown.range(Seq(entry.seq.0 + 1)..).any(|(_, later)| replaces(later));
            if is_replaced { read.content.is_empty() } else { entry.content == read.content }
        }
        _ => entry.content == read.content,
    };
    let (ours, theirs) = (entry.changes(), read.changes());
    let edited = |message: &Message| message.changes().and_then(|changes| changes.edited);
    has_same_text
        && (entry.from, &entry.name, &entry.content_type) == (read.from, &read.name, &read.content_type)
        && (entry.time, entry.change()) == (read.time, read.change())
        && entry.recalled() == read.recalled()
        && edited(entry) == edited(read)
        && are_same(
            ours.map_or(&[], |changes| &changes.reactions),
            theirs.map_or(&[], |changes| &changes.reactions),
            members,
        )
}

/// Whether reactions that a client has counted are those of HISTORY. It knows only the first users of each kind, and
/// not who comes next when one of them takes it back.
fn are_same(ours: &[Reaction], theirs: &[Reaction], members: usize) -> bool {
    let is_same = |our: &Reaction, their: &Reaction| {
        (&our.reaction, our.count, our.mine) == (&their.reaction, their.count, their.mine)
            && their.ids.starts_with(&our.ids)
            && (members > REACTION_IDS || our.ids == their.ids)
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(our, their)| is_same(our, their))
}

/// Where two members read different things.
fn differences_of_members(one: &Entries, other: &Entries) -> Vec<String> {
    let neutral = |entry: &Message| {
        let mut entry = entry.clone();
        if let Some(changes) = entry.extra.as_deref_mut().and_then(|extra| extra.changes.as_mut()) {
            changes.reactions.iter_mut().for_each(|reaction| reaction.mine = false);
        }
        entry
    };
    let mut found = Vec::new();
    for seq in one.keys().chain(other.keys().filter(|seq| !one.contains_key(seq))) {
        let (ours, theirs) = (one.get(seq).map(neutral), other.get(seq).map(neutral));
        if ours != theirs {
            let told = |entry: Option<Message>| entry.map_or("nothing".to_owned(), |entry| describe(&entry));
            found.push(format!("entry {seq}: {} there, {} here", told(ours), told(theirs)));
        }
    }
    found
}

/// Answers to changes that the timeline does not bear out.
fn broken_answers(finished: &Finished, timeline: &Timeline, history: &Entries) -> Vec<String> {
    let (answered, me) = (&finished.answered, finished.view.me());
    let here = |conversation: ConversationId| conversation == timeline.conversation;
    let mut found = Vec::new();
    for (wanted, seq) in answered.done.iter().filter(|(wanted, _)| here(wanted.conversation)) {
        let told = history.get(seq);
        if !told.is_some_and(|entry| wanted.is_told_by(entry, me)) {
            let told = told.map_or("nothing".to_owned(), describe);
            found.push(format!("entry {seq}: answered as {:?} of {}, is {told}", wanted.change, wanted.seq));
        }
    }
    for wanted in answered.not_found.iter().filter(|wanted| here(wanted.conversation)) {
        if history.get(&wanted.seq).is_some_and(|entry| entry.recalled().is_none()) {
            let what = &wanted.change;
            found.push(format!("entry {}: {what:?} was NOT_FOUND, and it is not recalled", wanted.seq));
        }
    }
    found
}

/// Texts that a search during the load should have found: no later change excuses them.
fn missing_results(finished: &Finished) -> Vec<String> {
    let is_excused = |missing: &&Missing| {
        let timeline = finished.view.timeline(missing.conversation);
        timeline
            .and_then(|timeline| timeline.text_changed(missing.seq))
            .is_some_and(|at| at > missing.known_to)
    };
    finished.missing.iter().filter(|missing| !is_excused(missing)).map(describe_missing).collect()
}

fn describe_missing(missing: &Missing) -> String {
    let Missing { conversation, seq, words, .. } = missing;
    format!("SEARCH \"{words}\" did not find entry {seq} of conversation {conversation}, which was indexed")
}

/// Searches for some of what the client shows, edited messages first, and for recalled texts. Returns how many answers
/// had what they must.
fn search(client: &mut Client, finished: &Finished, note: &mut impl FnMut(String)) -> Result<u64, Error> {
    let Finished { view, account, .. } = finished;
    let own = |message: &&Message| message.from == account.id && message.recalled().is_none();
    let entries = view.timelines().iter().flat_map(|timeline| timeline.entries.values().rev());
    let mut texts: Vec<&Message> = entries.filter(|entry| entry.is_message()).filter(own).collect();
    texts.sort_by_key(|message| message.changes().is_none_or(|changes| changes.edited.is_none()));
    let shown = texts.into_iter().take(SEARCHES).map(|message| Query::for_text(view, message, false));
    let recalled = view.recalled().iter().rev().take(SEARCHES);
    let queries = shown.chain(recalled.map(|recalled| Query::for_recalled(recalled, false)));
    let mut right = 0;
    for query in queries {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let command = query.command();
            client.send(&command, 1)?;
            let page = match client.answer("SEARCH", &command)? {
                Reply::Timeline(timeline::Reply::Results(page)) => page,
                other => return Err(unexpected("SEARCH", &other)),
            };
            match query.judge(&page) {
                Verdict::Right => right += 1,
                Verdict::TooEarly if Instant::now() < deadline => {
                    thread::sleep(PAUSE);
                    continue;
                }
                Verdict::TooEarly => note(format!("SEARCH \"{}\": not indexed in a minute", query.words())),
                Verdict::Missing(missing) => note(describe_missing(&missing)),
                Verdict::Wrong(what) => note(format!("SEARCH \"{}\" {what}", query.words())),
            }
            break;
        }
    }
    Ok(right)
}

/// An entry in a line.
fn describe(entry: &Message) -> String {
    let mut text = match entry.change() {
        Some(change) => {
            let on = if let ChangeKind::Reaction { on } = change.kind {
                format!(" on={on}")
            } else {
                String::new()
            };
            format!("{}{on} of {} by {} \"{}\"", change.content_type(), change.of, entry.from, entry.content)
        }
        None => format!("{} by {} \"{}\"", entry.content_type, entry.from, entry.content),
    };
    let _ = write!(text, " at {}", entry.time);
    if let Some(changes) = entry.changes() {
        if let Some(edited) = changes.edited {
            let _ = write!(text, " edited {edited}");
        }
        if let Some(recalled) = changes.recalled {
            let _ = write!(text, " recalled {recalled}");
        }
        for Reaction { reaction, count, mine, ids } in &changes.reactions {
            let ids: Vec<String> = ids.iter().map(UserId::to_string).collect();
            let _ = write!(
                text,
                " {reaction}x{count} by {}{}",
                ids.join(","),
                if *mine { " and me" } else { "" }
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::change::Wanted;
    use super::super::samples::{change, text};
    use super::*;
    use wire::UnixMillis;
    use wire::change::Changes;

    fn entries(entries: impl IntoIterator<Item = Message>) -> Entries {
        entries.into_iter().map(|entry| (entry.seq, entry)).collect()
    }

    /// A message that was edited twice and reacted to, with all entries, as HISTORY has them.
    fn history() -> Entries {
        let mut message = text(1, "one");
        let react = change(4, 1, ChangeKind::Reaction { on: true }, "a");
        for told in
            [change(2, 1, ChangeKind::Edit, "two"), change(3, 1, ChangeKind::Edit, "three"), react.clone()]
        {
            message.apply(&told, UserId(1));
        }
        let edits = [change(2, 1, ChangeKind::Edit, ""), change(3, 1, ChangeKind::Edit, "three")];
        entries([message].into_iter().chain(edits).chain([react]))
    }

    fn changes(entries: &mut Entries) -> &mut Changes {
        entries.get_mut(&Seq(1)).unwrap().extra.as_deref_mut().unwrap().changes.as_mut().unwrap()
    }

    #[test]
    fn every_difference_of_what_is_shown_is_found() {
        let read = history();
        let mut shown = read.clone();
        // The client was pushed the first edit before there was a second one.
        shown.get_mut(&Seq(2)).unwrap().content = "two".into();
        assert!(differences(&shown, &read, 3).is_empty());
        type Spoil = fn(&mut Entries);
        let wrong: [(&str, Spoil); 8] = [
            ("entry 1", |e| e.get_mut(&Seq(1)).unwrap().content = "two".into()),
            ("entry 1", |e| e.get_mut(&Seq(1)).unwrap().time = UnixMillis(1)),
            ("entry 1", |e| changes(e).edited = None),
            ("entry 1", |e| changes(e).recalled = Some(UnixMillis(9))),
            ("entry 1", |e| changes(e).reactions.clear()),
            ("entry 3", |e| e.get_mut(&Seq(3)).unwrap().content = "".into()),
            ("entry 4", |e| drop(e.remove(&Seq(4)))),
            ("entry 5", |e| drop(e.insert(Seq(5), text(5, "unknown to HISTORY")))),
        ];
        for (number, (place, spoil)) in wrong.iter().enumerate() {
            let mut shown = shown.clone();
            spoil(&mut shown);
            let found = differences(&shown, &read, 3);
            assert!(found.len() == 1 && found[0].starts_with(place), "{number}: {found:?}");
        }
        let mut kept = read.clone();
        kept.get_mut(&Seq(2)).unwrap().content = "two".into();
        assert_eq!(differences(&shown, &kept, 3).len(), 1, "HISTORY must not have a text that was replaced");
    }

    #[test]
    fn members_read_the_same_but_for_their_own_reactions() {
        let mine = history();
        let mut theirs = mine.clone();
        changes(&mut theirs).reactions[0].mine = false;
        assert!(differences_of_members(&mine, &theirs).is_empty());
        theirs.get_mut(&Seq(3)).unwrap().content = "".into();
        theirs.remove(&Seq(4));
        assert_eq!(differences_of_members(&mine, &theirs).len(), 2);
        assert_eq!(differences_of_members(&theirs, &mine).len(), 2);
    }

    #[test]
    fn what_was_answered_must_be_in_the_timeline() {
        let conversation = ConversationId(9);
        let account = Account { id: UserId(1), token: "".into(), name: "ann".into(), password: "".into() };
        let view = View::new(UserId(1), [(conversation, Seq(0))]);
        let wanted = Wanted::react(&text(1, "one"), 4);
        let done = vec![(wanted.clone(), Seq(4)), (wanted.clone(), Seq(3)), (wanted.clone(), Seq(8))];
        let answered = Answered { done, not_found: vec![wanted] };
        let missing = Vec::new();
        let finished = Finished { number: 0, account, view, answered, missing };
        let found = broken_answers(&finished, &finished.view.timelines()[0], &history());
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("entry 3") && found[1].starts_with("entry 8"), "{found:?}");
        assert!(found[2].ends_with("it is not recalled"), "{found:?}");
    }
}
