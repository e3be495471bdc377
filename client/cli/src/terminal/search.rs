//! `/search`: messages by their words, from the server, or from what is saved here while there is no connection.

use super::state::{LastSearch, Terminal};
use crate::display::{clock, snippet};
use chatclient_core::Failure;
use wire::search::{Search, SearchPage};
use wire::words::Sought;
use wire::{Message, Reply, timeline};

/// Results on a page.
const PAGE: u32 = 20;
/// Columns of a result's text.
const SNIPPET: usize = 60;

impl Terminal {
    pub(super) fn search(&mut self, of: Option<&str>, text: Option<&str>) {
        let Some(text) = text else { return self.search_further() };
        if let Err(why) = Sought::parse(text) {
            return self.say(&format!("/search: {}", why.replace("`text`", "it")));
        }
        let conversation = match of {
            None => None,
            some => match self.conversation_meant("/search", some) {
                None => return,
                found => found,
            },
        };
        let search = Search { conversation, ..Search::new(text, PAGE) };
        self.ask_search(search, 0);
    }

    fn search_further(&mut self) {
        match self.last_search.take() {
            Some(LastSearch { next, shown }) => self.ask_search(next, shown),
            None => self.say("there are no further results; search with /search WORDS"),
        }
    }

    /// `shown`: results on the pages before.
    fn ask_search(&mut self, search: Search, shown: usize) {
        self.last_search = None;
        let asked = search.clone();
        self.request(
            |session, now| session.search(now, asked),
            move |terminal, result| match result {
                Ok(Reply::Timeline(timeline::Reply::Results(page))) => {
                    terminal.show_results(search, shown, &page, true);
                }
                Err(failure @ (Failure::Offline | Failure::Lost(_) | Failure::TimedOut)) => {
                    match terminal.client.store(|store| store.search(&search)) {
                        Some(page) => terminal.show_results(search, shown, &page, false),
                        None => terminal.report_failure("/search", &failure),
                    }
                }
                Err(failure) => terminal.report_failure("/search", &failure),
                Ok(_) => terminal.say("/search: unexpected reply from the server"),
            },
        );
    }

    fn show_results(&mut self, search: Search, shown: usize, page: &SearchPage, is_online: bool) {
        if !is_online {
            self.say("offline; found among what is saved on this machine:");
        }
        let Ok(sought) = Sought::parse(&search.text) else { return };
        let mut lines = match (page.messages.is_empty(), shown) {
            (true, 0) => "nothing found".to_owned(),
            (true, _) => "there are no further results".to_owned(),
            (false, _) => "found, the latest first:".to_owned(),
        };
        for (number, message) in (shown + 1..).zip(&page.messages) {
            lines += &format!("\n{}", self.result_line(number, message, &sought));
        }
        if is_online && page.indexed_to.0 == 0 {
            lines += "\nthe server is still making its index: later there may be more";
        }
        let cursor = page.cursor.as_deref().and_then(|cursor| cursor.parse().ok());
        if cursor.is_some() {
            lines += "\nmore: /search";
            let next = Search { cursor, ..search };
            self.last_search = Some(LastSearch { next, shown: shown + page.messages.len() });
        }
        self.say(&lines);
    }

    /// `  3  #7 devs  #12  2026-11-30 16:58  li si: …the text around the words`
    fn result_line(&self, number: usize, message: &Message, sought: &Sought) -> String {
        let Message { conversation, seq, time, .. } = *message;
        let label = self.directory.conversation(conversation);
        let who = self.directory.name_of(message.from, &message.name);
        let text = snippet::around(&message.content, sought, SNIPPET, self.style.ellipsis());
        format!("{number:>3}  {label}  #{seq}  {}  {who}: {text}", clock::minute(time))
    }
}
