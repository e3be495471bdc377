//! Counting what members have not read: of all conversations of a page in two round trips, or in none if nothing is
//! unread or the headers are kept.

use super::connection::Connection;
use super::failure::Failure;
use super::record::{Answer, Record, undamaged};
use super::sql::Sql;
use crate::calendar::Month;
use crate::column::Sort;
use crate::fault;
use crate::header_cache::{Blocks, HeaderCache};
use crate::unread::{Header, Headers, Question, Range, Recalled, Steps, Totals};
use logic::contract::timeline::UnreadCount;
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ConversationId, References, Seq};

/// The most entries whose headers are read in one round trip.
const SLICE: u64 = 16_384;

/// The months of each conversation and their first seqs, in order.
pub type Segments = BTreeMap<ConversationId, Vec<(Month, Seq)>>;

/// What each question counts.
pub fn counts(
    conn: &mut Connection,
    cache: &HeaderCache,
    questions: &[Option<Question>],
) -> Result<Vec<UnreadCount>, Failure> {
    let asked: Vec<&Question> = questions.iter().flatten().collect();
    let outline = Outline::read(conn, cache, &asked)?;
    let mut counted = outline.count(conn, cache, &asked)?.into_iter();
    Ok(questions.iter().map(|question| question.and_then(|_| counted.next()).unwrap_or_default()).collect())
}

/// What is read before headers are.
pub struct Outline {
    /// Of the conversations whose headers are not kept.
    pub segments: Segments,
    /// For each question the rows that it needs, if there are any.
    totals: Vec<Option<[Totals; 2]>>,
    /// For each question what was recalled of its entries.
    recalled: Vec<Vec<Recalled>>,
    /// For each question that needs no totals the headers that are kept, which are looked up once: others may replace
    /// them at any moment.
    lookups: Vec<Option<Lookup>>,
}

/// What [`HeaderCache::find`] returns.
type Lookup = (Option<Arc<Headers>>, Range);

impl Outline {
    pub fn read(
        conn: &mut Connection,
        cache: &HeaderCache,
        questions: &[&Question],
    ) -> Result<Outline, Failure> {
        let look_up = |question: &&Question| {
            (!question.needs_totals()).then(|| cache.find(question.conversation, question.steps(None).tail))
        };
        let lookups: Vec<Option<Lookup>> = questions.iter().map(look_up).collect();
        let needs_headers =
            |lookup: &Option<Lookup>| lookup.as_ref().is_none_or(|(_, wanted)| !wanted.is_empty());
        let unknown = questions.iter().zip(&lookups).filter(|(_, lookup)| needs_headers(lookup));
        let unknown: Vec<ConversationId> = unknown.map(|(question, _)| question.conversation).collect();
        let changed = || questions.iter().filter(|question| question.has_changes);
        if unknown.is_empty() && changed().next().is_none() {
            let (totals, recalled) = (vec![None; questions.len()], vec![Vec::new(); questions.len()]);
            return Ok(Outline { segments: Segments::new(), totals, recalled, lookups });
        }
        let mut sql = Sql::new();
        ask_segments(&mut sql, &unknown);
        for Question { conversation, range: Range { after, last }, .. } in
            questions.iter().filter(|question| question.needs_totals())
        {
            let rows = format!(
                "SELECT seq, low_messages, uncounted, low_mentioned, high_mentioned FROM direct_total \
             WHERE conversation_id = {conversation} AND seq BETWEEN {after} AND {last} ORDER BY seq"
            );
            sql.statement(format_args!("({rows} LIMIT 1) UNION ALL ({rows} DESC LIMIT 1)"));
        }
        for question in changed() {
            let (conversation, Range { after, last }) = (question.conversation, question.counted());
            sql.statement(format_args!(
                "SELECT seq, sender_id, mentions_peer FROM recalled WHERE conversation_id = {conversation} \
                 AND seq > {after} AND seq <= {last} AND change_seq <= {last}"
            ));
        }
        let answers = conn.ask(&sql)?;
        let mut answers = answers.iter();
        let mut next = || answers.next().expect("one answer for each statement");
        let segments = segments_of(next())?;
        let mut totals = Vec::with_capacity(questions.len());
        for question in questions {
            totals.push(if question.needs_totals() { totals_of(next())? } else { None });
        }
        let mut recalled = Vec::with_capacity(questions.len());
        for question in questions {
            let rows = if question.has_changes { &next().rows[..] } else { &[] };
            recalled.push(undamaged(rows, recalled_of)?);
        }
        Ok(Outline { segments, totals, recalled, lookups })
    }

    /// What each question counts.
    pub fn count(
        self,
        conn: &mut Connection,
        cache: &HeaderCache,
        questions: &[&Question],
    ) -> Result<Vec<UnreadCount>, Failure> {
        let Outline { mut segments, totals, recalled, lookups } = self;
        let mut plans = Vec::with_capacity(questions.len());
        for (((question, totals), recalled), lookup) in
            questions.iter().zip(totals).zip(recalled).zip(lookups)
        {
            plans.push(Plan::make(question, question.steps(totals), recalled, lookup, cache));
        }
        let lacks = |plan: &&Plan<'_>, segments: &Segments| {
            plan.loads.iter().any(|load| !load.range.is_empty())
                && !segments.contains_key(&plan.question.conversation)
        };
        let unknown = plans.iter().filter(|plan| lacks(plan, &segments));
        let unknown: Vec<ConversationId> = unknown.map(|plan| plan.question.conversation).collect();
        if !unknown.is_empty() {
            let mut sql = Sql::new();
            ask_segments(&mut sql, &unknown);
            for answer in conn.ask(&sql)? {
                segments.extend(segments_of(&answer)?);
            }
        }
        load(conn, &segments, &mut plans)?;
        recalled_blocks(conn, &mut plans)?;
        let lacking = plans.iter().filter(|plan| lacks(plan, &segments));
        let lacking: Vec<ConversationId> = lacking.map(|plan| plan.question.conversation).collect();
        let first = if lacking.is_empty() { BTreeMap::new() } else { first_kept(conn, &lacking)? };
        let count = |plan: Plan<'_>| {
            if lacks(&&plan, &segments) {
                let Question { conversation, range, .. } = plan.question;
                // Unless all of it was dropped since the question was made. Not kept: it may be restored.
                if first.get(conversation).is_none_or(|first| range.last >= *first) {
                    fault::report(&format!("the conversation {conversation} has no segments"));
                }
                return UnreadCount::default();
            }
            plan.count(cache)
        };
        Ok(plans.into_iter().map(count).collect())
    }
}

/// Where conversations begin now.
fn first_kept(
    conn: &mut Connection,
    conversations: &[ConversationId],
) -> Result<BTreeMap<ConversationId, Seq>, Failure> {
    let mut sql = Sql::new();
    sql.push("SELECT id, first_seq FROM conversation WHERE id IN ").set(conversations).end();
    let rows = conn.rows(&sql)?;
    Ok(undamaged(&rows, |row| Ok((row.conversation(0)?, row.seq(1)?)))?.into_iter().collect())
}

fn ask_segments(sql: &mut Sql, conversations: &[ConversationId]) {
    // No conversation has the id 0.
    sql.push("SELECT conversation_id, month, first_seq FROM segment WHERE conversation_id IN ")
        .set(conversations.iter().chain([&ConversationId(0)]))
        .push(" ORDER BY conversation_id, month")
        .end();
}

fn segments_of(answer: &Answer) -> Result<Segments, Failure> {
    let mut segments = Segments::new();
    for (conversation, segment) in
        undamaged(&answer.rows, |row| Ok((row.conversation(0)?, (row.month(1)?, row.seq(2)?))))?
    {
        segments.entry(conversation).or_default().push(segment);
    }
    Ok(segments)
}

fn recalled_of(row: &Record) -> Result<Recalled, Failure> {
    Ok(Recalled { seq: row.seq(0)?, sender: row.user(1)?, mentions_peer: row.number(2)? != 0 })
}

fn totals_of(answer: &Answer) -> Result<Option<[Totals; 2]>, Failure> {
    let rows = undamaged(&answer.rows, |row| {
        Ok(Totals {
            seq: row.seq(0)?,
            low_messages: row.unsigned(1)?,
            uncounted: row.unsigned(2)?,
            low_mentioned: row.unsigned(3)?,
            high_mentioned: row.unsigned(4)?,
        })
    })?;
    Ok(rows.try_into().ok())
}

/// A question, and the headers that it needs.
struct Plan<'a> {
    question: &'a Question,
    steps: Steps,
    /// What was recalled of its entries.
    recalled: Vec<Recalled>,
    /// What was recalled of the blocks that are missing.
    recalled_blocks: Vec<Recalled>,
    /// The headers of the end that are kept.
    kept: Option<Arc<Headers>>,
    blocks: Blocks,
    /// Those of the heads, those of the blocks that are missing, and last those that follow the kept ones.
    loads: Vec<Load>,
}

struct Load {
    range: Range,
    headers: Headers,
}

impl Plan<'_> {
    fn make<'a>(
        question: &'a Question,
        steps: Steps,
        recalled: Vec<Recalled>,
        lookup: Option<Lookup>,
        cache: &HeaderCache,
    ) -> Plan<'a> {
        let conversation = question.conversation;
        let (kept, wanted) = lookup.unwrap_or_else(|| cache.find(conversation, steps.tail));
        let blocks = cache.blocks(conversation, steps.blocks);
        let ranges = steps.heads.iter().chain(&blocks.missing).chain([&wanted]);
        let loads = ranges.map(|range| Load { range: *range, headers: Headers::above(range.after) });
        let loads = loads.collect();
        Plan { question, steps, recalled, recalled_blocks: Vec::new(), kept, blocks, loads }
    }

    fn count(self, cache: &HeaderCache) -> UnreadCount {
        let Plan { question, steps, recalled, recalled_blocks, kept, blocks, mut loads } = self;
        let user = question.user;
        let rest = loads.pop().expect("there is one of the tail");
        let missing = loads.split_off(steps.heads.len());
        let of_blocks = missing.iter().map(|of| cache.keep_blocks(question, &of.headers, &recalled_blocks));
        let totals = of_blocks.fold(blocks.totals, |totals, some| totals + some);
        let headers = match kept {
            Some(kept) if rest.range.is_empty() => kept,
            kept => cache.keep(question.conversation, kept, rest.headers),
        };
        let of_tail = headers.count(steps.tail, user, &recalled);
        let of_heads = loads.iter().map(|head| head.headers.count(head.range, user, &recalled));
        of_heads.fold(steps.known(question, totals, &recalled) + of_tail, |count, head| count + head)
    }
}

/// Entries of one month to be read.
struct Slice {
    /// The plan that needs them, and which of its loads, by index.
    plan: usize,
    load: usize,
    month: Month,
    range: Range,
}

fn load(conn: &mut Connection, segments: &Segments, plans: &mut [Plan<'_>]) -> Result<(), Failure> {
    let mut slices = Vec::new();
    for (plan, Plan { question, loads, .. }) in plans.iter().enumerate() {
        let months = segments.get(&question.conversation).map_or(&[][..], |months| months);
        for (load, Load { range, .. }) in loads.iter().enumerate() {
            let parts = parts(months, *range);
            slices.extend(parts.into_iter().map(|(month, range)| Slice { plan, load, month, range }));
        }
    }
    let mut rest = &slices[..];
    while !rest.is_empty() {
        let mut entries = 0;
        let fits = |slice: &&Slice| {
            entries += slice.range.last.0 - slice.range.after.0;
            entries <= SLICE
        };
        let (some, others) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        rest = others;
        let mut sql = Sql::new();
        for Slice { plan, month, range: Range { after, last }, .. } in some {
            let conversation = plans[*plan].question.conversation;
            sql.statement(format_args!(
                "SELECT seq, sender_id, status, refs FROM message_{month:06} WHERE conversation_id = {conversation} \
                 AND seq > {after} AND seq <= {last} ORDER BY seq"
            ));
        }
        for (slice, answer) in some.iter().zip(conn.ask(&sql)?) {
            let headers = &mut plans[slice.plan].loads[slice.load].headers;
            for (seq, header) in undamaged(&answer.rows, header_of)? {
                headers.add(seq, header);
            }
        }
    }
    for Load { range, headers } in plans.iter_mut().flat_map(|plan| &mut plan.loads) {
        headers.fill(range.last);
    }
    Ok(())
}

/// Reads what was recalled of blocks whose headers were loaded.
fn recalled_blocks(conn: &mut Connection, plans: &mut [Plan<'_>]) -> Result<(), Failure> {
    let mut sql = Sql::new();
    let mut asked = Vec::new();
    for plan in &mut *plans {
        let missing = &plan.blocks.missing;
        let (Some(first), Some(last)) = (missing.first(), missing.last()) else { continue };
        sql.statement(format_args!(
            "SELECT seq, sender_id, mentions_peer FROM recalled WHERE conversation_id = {} AND seq > {} AND seq <= {}",
            plan.question.conversation, first.after, last.last
        ));
        asked.push(plan);
    }
    if !asked.is_empty() {
        for (plan, answer) in asked.into_iter().zip(conn.ask(&sql)?) {
            plan.recalled_blocks = undamaged(&answer.rows, recalled_of)?;
        }
    }
    Ok(())
}

/// The parts of a range by month, each at most [`SLICE`] entries long.
fn parts(months: &[(Month, Seq)], range: Range) -> Vec<(Month, Range)> {
    let mut parts = Vec::new();
    for (at, (month, first)) in months.iter().enumerate() {
        let end = months.get(at + 1).map_or(Seq::MAX, |(_, next)| next.prev());
        let (mut after, last) = (first.prev().max(range.after), end.min(range.last));
        while after < last {
            let part = Range { after, last: last.min(Seq(after.0 + SLICE)) };
            after = part.last;
            parts.push((*month, part));
        }
    }
    parts
}

fn header_of(row: &Record) -> Result<(Seq, Header), Failure> {
    let is_message = row.sort(2)? == Sort::Message;
    let references = row.maybe_text(3)?.filter(|_| is_message).and_then(References::from_json);
    let mentions = references.map(|references| references.mentions).unwrap_or_default();
    Ok((row.seq(0)?, Header { sender: is_message.then_some(row.user(1)?), mentions }))
}
