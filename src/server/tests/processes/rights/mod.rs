//! Who may do what: every row of `matrix.txt` is asked over the wire, on one node with either database and on two nodes.

use crate::database::start_on_shared;
use crate::support::client::errno;
use crate::support::nodes::Nodes;
use crate::support::setup::asks_again_after;
use crate::support::{Client, PATIENCE, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::Instant;
use wire::change::{React, Reply as ChangeReply, Request as ChangeRequest};
use wire::group::{Leave, Request, Role, SetRole};
use wire::kind::{REQUESTS, request};
use wire::{ConversationId, Errno, Push, Refusal, Reply, Seq, Target, UserId};

const MATRIX: &str = include_str!("matrix.txt");

// A request type without a row does not build. HEARTBEAT has no JSON value and is answered to anybody.
#[allow(long_running_const_eval, reason = "the matrix is read once for each request type")]
const _: () = {
    let mut noun = 0;
    while noun < REQUESTS.len() {
        let mut verb = 0;
        while verb < REQUESTS[noun].len() {
            let (number, name) = REQUESTS[noun][verb];
            assert!(number == request::HEARTBEAT || has_row(name), "a request type has no row in matrix.txt");
            verb += 1;
        }
        noun += 1;
    }
};

/// Whether a line begins with the name and a space.
const fn has_row(name: &str) -> bool {
    let (matrix, name) = (MATRIX.as_bytes(), name.as_bytes());
    let (mut at, mut begins_line) = (0, true);
    while at + name.len() < matrix.len() {
        let mut same = 0;
        while begins_line && same < name.len() && matrix[at + same] == name[same] {
            same += 1;
        }
        if same == name.len() && matrix[at + same] == b' ' {
            return true;
        }
        begins_line = matrix[at] == b'\n';
        at += 1;
    }
    false
}

struct Section {
    place: &'static str,
    standings: Vec<&'static str>,
    rows: Vec<Row>,
}

struct Row {
    request: &'static str,
    kind: u16,
    value: &'static str,
    /// For each standing.
    answers: Vec<Errno>,
}

fn matrix() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in MATRIX.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(heading) = line.strip_prefix('[') {
            let (place, standings) = heading.trim_end_matches(']').split_once(": ").unwrap();
            sections.push(Section { place, standings: standings.split(' ').collect(), rows: vec![] });
            continue;
        }
        let section = sections.last_mut().expect("a row belongs to a section");
        let (request, rest) = line.split_once(' ').unwrap();
        let (value, answers) = rest.split_at(rest.rfind('}').unwrap() + 1);
        let &(kind, _) = REQUESTS
            .iter()
            .copied()
            .flatten()
            .find(|(_, name)| *name == request)
            .unwrap_or_else(|| panic!("{request} is no request"));
        let errno_of = |name| {
            let found = Errno::ALL.iter().find(|errno| errno.name() == name);
            *found.unwrap_or_else(|| panic!("{name} is no error"))
        };
        let answers: Vec<Errno> = answers.split_whitespace().map(errno_of).collect();
        assert_eq!(answers.len(), section.standings.len(), "an answer for each standing: {line}");
        section.rows.push(Row { request, kind, value: value.trim(), answers });
    }
    sections
}

/// A user who asks, and what its values refer to.
struct Asker {
    client: Client,
    /// `$me`, `$own` and `$foreign`, as they differ from user to user.
    words: BTreeMap<&'static str, String>,
}

impl Asker {
    fn new(client: Client, id: UserId) -> Asker {
        let mut asker = Asker { client, words: BTreeMap::new() };
        asker.know("$me", id.0);
        asker
    }

    fn knowing<const N: usize>(client: Client, id: UserId, words: [(&'static str, Seq); N]) -> Asker {
        let mut asker = Asker::new(client, id);
        words.into_iter().for_each(|(word, seq)| asker.know(word, seq.0));
        asker
    }

    fn know(&mut self, word: &'static str, value: impl ToString) {
        self.words.insert(word, value.to_string());
    }
}

/// A place with everybody who asks there.
struct Scene {
    here: Option<ConversationId>,
    askers: BTreeMap<&'static str, Asker>,
    words: BTreeMap<&'static str, String>,
    /// How many texts and names were made.
    made: u32,
    /// The texts that were accepted.
    accepted: BTreeSet<String>,
    /// The cases that were not answered as expected.
    wrong: Vec<String>,
}

/// Where no conversation is.
const NOWHERE: ConversationId = ConversationId(2_000_000_000);
const BEYOND: Seq = Seq(1_000_000);

impl Scene {
    /// With `anonymous`, who is not logged in.
    fn new(address: SocketAddr) -> Scene {
        let anonymous = Asker::new(Client::connect(address), UserId(1));
        let askers = BTreeMap::from([("anonymous", anonymous)]);
        let words = BTreeMap::from([("$beyond", BEYOND.0.to_string())]);
        Scene { here: None, askers, words, made: 0, accepted: BTreeSet::new(), wrong: vec![] }
    }

    fn know(&mut self, word: &'static str, value: impl ToString) {
        self.words.insert(word, value.to_string());
    }

    fn add(&mut self, standing: &'static str, asker: Asker) {
        self.askers.insert(standing, asker);
    }

    fn anonymous_knows(&mut self, own: Seq, foreign: Seq) {
        let anonymous = self.askers.get_mut("anonymous").expect("anonymous is always there");
        anonymous.know("$own", own.0);
        anonymous.know("$foreign", foreign.0);
        anonymous.know("$mine", own.0);
        anonymous.know("$theirs", foreign.0);
    }

    /// The value that a row says for a standing, and the text in it that no other case has.
    fn value(&mut self, row: &Row, standing: &str, here: ConversationId) -> (String, Option<String>) {
        self.made += 1;
        let asker = &self.askers[standing];
        let made = format!("{standing} {}", self.made);
        let text = row.value.contains("$text").then(|| made.clone());
        let mut value = row.value.replace("$here", &here.0.to_string());
        value = value.replace("$text", &made).replace("$new", &made);
        // The longer words first: `$one` begins like `$o`.
        let words = asker.words.iter().chain(&self.words).rev();
        for (word, meaning) in words {
            value = value.replace(word, meaning);
        }
        assert!(!value.contains('$'), "{standing} knows all words of {value}");
        (value, text)
    }

    fn ask(&mut self, standing: &str, kind: u16, value: &str) -> Reply {
        let client = &mut self.askers.get_mut(standing).expect("the standing is known").client;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let number = client.post_raw(kind, value.as_bytes());
            let reply = client.reply(number);
            let pause = match &reply {
                Reply::Refused(refusal) => asks_again_after(refusal).filter(|_| Instant::now() < deadline),
                _ => None,
            };
            match pause {
                Some(pause) => thread::sleep(pause),
                None => return reply,
            }
        }
    }

    /// Asks one row as one standing.
    fn check(&mut self, place: &str, row: &Row, standing: &str, expected: Errno) {
        let (value, text) = self.value(row, standing, self.here.unwrap_or(NOWHERE));
        let reply = self.ask(standing, row.kind, &value);
        let case = format!("{place}: {} {value} by {standing}", row.request);
        if errno(&reply) != expected {
            self.wrong.push(format!("{case}, expected {expected:?}: {reply:?}"));
        }
        match (reply, text) {
            (Reply::Refused(refusal), _) if standing == "stranger" => {
                let (value, _) = self.value(row, standing, NOWHERE);
                match self.ask(standing, row.kind, &value) {
                    Reply::Refused(absent) => {
                        let told = |of: &Refusal| (of.errno, of.errmsg.clone(), of.field.clone(), of.until);
                        if told(&absent) != told(&refusal) {
                            self.wrong.push(format!("{case}: {refusal:?}, where there is none {absent:?}"));
                        }
                    }
                    other => self.wrong.push(format!("{case}, where there is no conversation: {other:?}")),
                }
            }
            (Reply::Refused(_), _) | (_, None) => {}
            (_, Some(text)) => drop(self.accepted.insert(text)),
        }
    }

    /// Whoever is no member was pushed nothing, and what was refused is not stored.
    fn check_end(&mut self, place: &str, reader: &str) {
        let here = self.here.expect("a place with a timeline");
        for standing in ["stranger", "former"] {
            let Some(stranger) = self.askers.get_mut(standing) else { continue };
            let pushed = stranger.client.take_pushes();
            let of_here = |push: &Push| match push {
                Push::Message(wire::message::Push::New(entry)) => {
                    entry.conversation == here && entry.is_message()
                }
                Push::Timeline(_) => true,
                _ => false,
            };
            assert!(!pushed.iter().any(of_here), "{place}: {standing} was pushed {pushed:?}");
        }
        let reader = &mut self.askers.get_mut(reader).expect("there is a reader").client;
        let stored = reader.history(here, Seq(0)).into_iter().filter(|entry| entry.is_message());
        let texts: BTreeSet<String> = stored.map(|entry| entry.content.to_string()).collect();
        let missing: Vec<_> = self.accepted.difference(&texts).collect();
        assert!(missing.is_empty(), "{place}: stored, and not there: {missing:?}");
        let more: Vec<_> =
            texts.difference(&self.accepted).filter(|text| *text != SET_UP && !text.is_empty()).collect();
        assert!(more.is_empty(), "{place}: refused, and there: {more:?}");
    }
}

/// The text of messages that are there before anybody asks.
const SET_UP: &str = "set up";

fn say(client: &mut Client, here: ConversationId) -> Seq {
    client.send(Target::Conversation(here), SET_UP).seq
}

/// Makes a change entry.
fn react(client: &mut Client, conversation: ConversationId, seq: Seq) -> Seq {
    let react = React { conversation, seq, reaction: "👀".into(), on: true, cid: None };
    match client.ask_again(&ChangeRequest::React(react).into()) {
        Reply::Change(ChangeReply::Reacted(changed)) => changed.seq,
        other => panic!("REACT was answered {other:?}"),
    }
}

fn group(one: SocketAddr, two: SocketAddr) -> Scene {
    let mut scene = Scene::new(one);
    let (mut owner, owner_account) = Client::join(one, "olga");
    let (mut member, member_account) = Client::join(two, "mike");
    let (mut late, late_account) = Client::join(one, "lena");
    let (mut admin, admin_account) = Client::join(two, "adam");
    let (mut former, former_account) = Client::join(one, "fred");
    let (stranger, stranger_account) = Client::join(two, "stan");
    let here = owner.create_group("rights");
    former.join_group(here);
    member.join_group(here);
    admin.join_group(here);
    let role = Role::Admin;
    owner.change_group(Request::SetRole(SetRole { conversation: here, id: admin_account.id, role }));
    former.change_group(Request::Leave(Leave { conversation: here }));
    former.wait_for_end(here, former_account.id);
    former.take_pushes();
    let early = say(&mut owner, here);
    late.join_group(here);
    late.wait_for_member(here, late_account.id);
    let joined = late.history(here, Seq(0)).first().expect("its own entry").seq;
    let (by_owner, by_member, by_late) =
        (say(&mut owner, here), say(&mut member, here), say(&mut late, here));
    let by_admin = say(&mut admin, here);
    let change = react(&mut owner, here, by_late);
    let [mine, theirs] =
        [(), ()].map(|()| [&mut owner, &mut member, &mut late, &mut admin].map(|who| say(who, here)));
    scene.here = Some(here);
    scene.know("$early", early.0);
    scene.know("$system", joined.0);
    scene.know("$change", change.0);
    scene.know("$one", owner_account.id.0);
    scene.know("$other", member_account.id.0);
    scene.know("$admin", admin_account.id.0);
    scene.know("$late", late_account.id.0);
    scene.know("$stranger", stranger_account.id.0);
    for (standing, client, account, own, foreign, mine, theirs) in [
        ("admin", admin, admin_account, by_admin, by_member, mine[3], theirs[2]),
        ("former", former, former_account, by_member, by_owner, by_member, by_owner),
        ("owner", owner, owner_account, by_owner, by_member, mine[0], theirs[1]),
        ("member", member, member_account, by_member, by_owner, mine[1], theirs[0]),
        ("late", late, late_account, by_late, by_owner, mine[2], theirs[0]),
        ("stranger", stranger, stranger_account, by_member, by_owner, by_member, by_owner),
    ] {
        let words = [("$own", own), ("$foreign", foreign), ("$mine", mine), ("$theirs", theirs)];
        scene.add(standing, Asker::knowing(client, account.id, words));
    }
    scene.anonymous_knows(by_member, by_owner);
    scene
}

fn direct(one: SocketAddr, two: SocketAddr) -> Scene {
    let mut scene = Scene::new(two);
    let (mut first, first_account) = Client::join(one, "dora");
    let (mut second, second_account) = Client::join(two, "dirk");
    let (stranger, stranger_account) = Client::join(one, "sara");
    let sent = first.send(Target::User(second_account.id), SET_UP);
    let (here, by_first) = (sent.conversation, sent.seq);
    let by_second = say(&mut second, here);
    let change = react(&mut second, here, by_first);
    let [by_first_too, by_second_too] = [&mut first, &mut second].map(|who| say(who, here));
    scene.here = Some(here);
    scene.know("$change", change.0);
    scene.know("$one", first_account.id.0);
    scene.know("$other", second_account.id.0);
    scene.know("$stranger", stranger_account.id.0);
    for (standing, client, account, own, foreign, mine) in [
        ("one", first, first_account, by_first, by_second, by_first_too),
        ("other", second, second_account, by_second, by_first, by_second_too),
        ("stranger", stranger, stranger_account, by_first, by_second, by_first),
    ] {
        let words = [("$own", own), ("$foreign", foreign), ("$mine", mine), ("$theirs", foreign)];
        scene.add(standing, Asker::knowing(client, account.id, words));
    }
    scene.anonymous_knows(by_first, by_second);
    scene
}

fn notes(one: SocketAddr, two: SocketAddr) -> Scene {
    let mut scene = Scene::new(one);
    let (mut oneself, account) = Client::join(one, "nora");
    let (stranger, stranger_account) = Client::join(two, "sven");
    let sent = oneself.send(Target::User(account.id), SET_UP);
    let mine = say(&mut oneself, sent.conversation);
    scene.here = Some(sent.conversation);
    scene.know("$stranger", stranger_account.id.0);
    for (standing, client, account) in [("self", oneself, account), ("stranger", stranger, stranger_account)]
    {
        scene.add(standing, Asker::knowing(client, account.id, [("$own", sent.seq), ("$mine", mine)]));
    }
    scene.anonymous_knows(sent.seq, sent.seq);
    scene
}

fn account(one: SocketAddr, two: SocketAddr) -> Scene {
    let mut scene = Scene::new(two);
    let (user, user_account) = Client::join(one, "uwe");
    let (_, other_account) = Client::join(two, "otto");
    scene.know("$other", other_account.id.0);
    scene.add("user", Asker::new(user, user_account.id));
    scene
}

fn check_matrix(on: &str, one: SocketAddr, two: SocketAddr) {
    let mut cases = 0;
    for Section { place, standings, rows } in matrix() {
        let (mut scene, reader) = match place {
            "account" => (account(one, two), None),
            "group" => (group(one, two), Some("admin")),
            "direct" => (direct(one, two), Some("one")),
            "notes" => (notes(one, two), Some("self")),
            other => panic!("no place is called {other}"),
        };
        for row in &rows {
            for (standing, &expected) in standings.iter().zip(&row.answers) {
                scene.check(place, row, standing, expected);
                cases += 1;
            }
        }
        assert!(scene.wrong.is_empty(), "on {on}:\n{}", scene.wrong.join("\n"));
        if let Some(reader) = reader {
            scene.check_end(place, reader);
        }
    }
    // Past the capture of the test runner.
    let _ = writeln!(io::stderr(), "rights on {on}: {cases} cases");
}

#[test]
fn everybody_may_do_what_the_matrix_says_on_sqlite() {
    let server = Server::start(&[]);
    check_matrix("SQLite", server.address, server.address);
}

#[test]
fn everybody_may_do_what_the_matrix_says_on_mysql() {
    let server = start_on_shared();
    check_matrix("MySQL", server.address, server.address);
}

#[test]
fn everybody_may_do_what_the_matrix_says_on_two_nodes() {
    let nodes = Nodes::start(2, &[]);
    check_matrix("two nodes", nodes.nodes[0].address, nodes.nodes[1].address);
}
