//! Whether messages may refer to what they refer to: the entries that they answer, and the members whom they mention.

use super::connection::Connection;
use super::failure::Failure;
use super::record::Record;
use super::sql::Sql;
use crate::calendar::Month;
use logic::contract::message::{BadReference, ReferenceContext};
use std::collections::HashMap;
use wire::group::Role;
use wire::{ConversationId, References, Seq, UserId};

/// What decides about the messages of a batch that refer to something, by their index in the batch. Read while their
/// conversations are locked.
#[derive(Debug, Default)]
pub struct Referred(HashMap<usize, Sender>);

/// What the sender of such a message may refer to.
#[derive(Clone, Copy, Debug)]
struct Sender {
    role: Role,
    answered: Answered,
}

/// The entry that a message answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    /// The sender sees no such entry, or the message answers none.
    None,
    Message,
    /// An entry that is not a message.
    Change,
    /// It would follow the end of the timeline: it is a message of this batch, or none.
    Later(Seq),
}

/// A message that refers to something.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Its index in the batch.
    pub number: usize,
    pub conversation: ConversationId,
    pub sender: UserId,
    pub references: &'a References,
    /// The end of the timeline.
    pub last: Seq,
}

impl Referred {
    /// Reads what decides about these messages, in two round trips where there are any.
    pub fn read(conn: &mut Connection, questions: &[Question<'_>]) -> Result<Referred, Failure> {
        if questions.is_empty() { Ok(Referred::default()) } else { ask(conn, questions) }
    }

    /// Decides about a message. `end` is the end of its timeline with the messages of the batch before it.
    pub fn check(
        &self,
        number: usize,
        members: &[UserId],
        end: Seq,
        references: &References,
    ) -> Result<(), BadReference> {
        let Some(Sender { role, answered }) = self.0.get(&number).copied() else {
            return Err(BadReference::Absent);
        };
        let answers_message = match answered {
            Answered::None => None,
            Answered::Message => Some(true),
            Answered::Change => Some(false),
            Answered::Later(seq) => (seq <= end).then_some(true),
        };
        ReferenceContext { members, role, answers_message }.check(references)
    }
}

fn ask(conn: &mut Connection, questions: &[Question<'_>]) -> Result<Referred, Failure> {
    let mut sql = Sql::new();
    for Question { conversation, sender, references, .. } in questions {
        sql.statement(format_args!(
            "SELECT m.role, GREATEST(c.first_seq, m.joined_seq + 1, m.cleared_seq + 1) \
             FROM member m JOIN conversation c ON c.id = m.conversation_id \
             WHERE m.conversation_id = {conversation} AND m.user_id = {sender} AND m.device = 0"
        ))
        .statement(format_args!(
            "SELECT month FROM segment WHERE conversation_id = {conversation} AND first_seq <= {} \
             ORDER BY month DESC LIMIT 1",
            references.reply_to.unwrap_or_default()
        ));
    }
    let answers = conn.ask(&sql)?;
    let (mut referred, mut sought) = (Referred::default(), Vec::new());
    for (question, answers) in questions.iter().zip(answers.chunks(2)) {
        let [member, month] = answers else { unreachable!("two answers for each message") };
        let Some(row) = member.rows.first() else { continue };
        let (role, first) = (row.role(0)?, row.seq(1)?);
        let answered = match question.references.reply_to {
            Some(seq) if seq > question.last => Answered::Later(seq),
            Some(seq) if seq >= first => {
                let month = month.rows.first().map(|row| row.month(0)).transpose()?;
                sought.extend(month.map(|month| (question, seq, month)));
                Answered::None
            }
            _ => Answered::None,
        };
        referred.0.insert(question.number, Sender { role, answered });
    }
    find(conn, &sought, &mut referred)?;
    Ok(referred)
}

/// Reads the entries that messages answer, each in the table of its month.
fn find(
    conn: &mut Connection,
    sought: &[(&Question<'_>, Seq, Month)],
    referred: &mut Referred,
) -> Result<(), Failure> {
    if sought.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new();
    for (Question { conversation, .. }, seq, month) in sought {
        sql.statement(format_args!(
            "SELECT status FROM message_{month:06} WHERE conversation_id = {conversation} AND seq = {seq}"
        ));
    }
    let answers = conn.ask(&sql)?;
    for ((question, ..), answer) in sought.iter().zip(&answers) {
        let status = answer.rows.first().map(|row: &Record| row.number(0)).transpose()?;
        if let (Some(status), Some(sender)) = (status, referred.0.get_mut(&question.number)) {
            sender.answered = if status == 0 { Answered::Message } else { Answered::Change };
        }
    }
    Ok(())
}
