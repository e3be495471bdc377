//! How one member sees a conversation: SET_CONVERSATION and CLEAR over the wire.

use crate::database::start_on_shared;
use crate::support::{Client, PATIENCE, Server};
use wire::timeline::{
    Clear, ConversationSummary, Conversations, Cursor, Push as TimelinePush, Reply as TimelineReply, Request,
    Set, SettingsChange,
};
use wire::{Command, ConversationId, Errno, Push, Reply, Seq, Target};

const AS_BEFORE: SettingsChange = SettingsChange { pinned: None, muted: None, hidden: None };

fn set(conversation: ConversationId, change: SettingsChange) -> Command {
    Request::Set(Set { conversation, change }).into()
}

fn clear(conversation: ConversationId, upto: Seq) -> Command {
    Request::Clear(Clear { conversation, upto }).into()
}

fn listed(client: &mut Client, conversation: ConversationId) -> ConversationSummary {
    let request = Request::Conversations(Conversations { before: None, limit: 200, with_last: false });
    match client.ask_again(&request.into()) {
        Reply::Timeline(TimelineReply::Conversations(page)) => {
            let mut rows = page.conversations.into_iter();
            rows.find(|row| row.conversation == conversation).expect("it is listed")
        }
        other => panic!("CONVERSATIONS was answered {other:?}"),
    }
}

fn contents(client: &mut Client, conversation: ConversationId) -> Vec<String> {
    client.history(conversation, Seq(0)).iter().map(|message| message.content.to_string()).collect()
}

#[test]
fn settings_are_a_members_own_and_survive_kill_9() {
    for mut server in [Server::start(&[]), start_on_shared()] {
        let (mut ann, account) = Client::join(server.address, "ann");
        let (_, ben_account) = Client::join(server.address, "ben");
        let (_, eve_account) = Client::join(server.address, "eve");
        let direct = ann.send(Target::User(ben_account.id), "hello").conversation;
        let pinned = SettingsChange { pinned: Some(true), hidden: Some(true), ..AS_BEFORE };
        for change in [pinned, pinned, SettingsChange { muted: Some(true), ..AS_BEFORE }, AS_BEFORE] {
            assert_eq!(ann.ask_again(&set(direct, change)), Reply::Done);
        }
        server.kill9();
        server.restart();
        let mut ann = Client::connect(server.address);
        let row = ann.login(&account).conversations[0].clone();
        assert_eq!((row.pinned, row.muted, row.hidden), (true, true, true));
        let row = listed(&mut ann, direct);
        assert_eq!((row.pinned, row.muted, row.hidden), (true, true, true));
        let mut ben = Client::login_to(server.address, &ben_account);
        let row = listed(&mut ben, direct);
        assert_eq!((row.pinned, row.muted, row.hidden), (false, false, false));
        ben.send(Target::User(account.id), "are you there?");
        let row = listed(&mut ann, direct);
        assert_eq!((row.pinned, row.muted, row.hidden), (true, true, false), "it comes back");
        // Whoever is no member cannot tell whether there is such a conversation.
        let mut eve = Client::login_to(server.address, &eve_account);
        for conversation in [direct, ConversationId(999_999)] {
            for command in
                [set(conversation, AS_BEFORE), set(conversation, pinned), clear(conversation, Seq(1))]
            {
                let refusal = eve.refusal(&command);
                assert_eq!(refusal.errno, Errno::Forbidden);
                let sentence = "only members may change how they see a conversation";
                assert_eq!(refusal.errmsg, sentence);
            }
        }
    }
}

#[test]
fn what_is_cleared_is_gone_for_one_member_and_stays_so_after_kill_9() {
    for mut server in [Server::start(&[]), start_on_shared()] {
        let (mut ann, account) = Client::join(server.address, "ann");
        let (mut ben, ben_account) = Client::join(server.address, "ben");
        let to_ben = || Target::User(ben_account.id);
        let direct = ann.send(to_ben(), "1").conversation;
        for text in ["2", "3", "4"] {
            ann.send(to_ben(), text);
        }
        (1..=4).for_each(|_| drop(ben.message()));
        // None of them is acknowledged: the next login would push them all.
        assert_eq!(ben.ask_again(&clear(direct, Seq(3))), Reply::Done);
        let read = ann.push(PATIENCE, |push| match push {
            Push::Timeline(TimelinePush::ReadReceipt(receipt)) => Some(receipt.seq),
            _ => None,
        });
        assert_eq!(read, Seq(3), "clearing reads");
        server.kill9();
        server.restart();
        let mut ben = Client::connect(server.address);
        let row = ben.login(&ben_account).conversations[0].clone();
        let seqs = (row.first_seq, row.delivered_seq, row.read_seq, row.last_seq);
        assert_eq!(seqs, (Seq(4), Seq(3), Seq(3), Seq(4)));
        assert_eq!(&*ben.message().content, "4", "what is above is pushed, and nothing below");
        assert_eq!(contents(&mut ben, direct), ["4"]);
        let mut ann = Client::login_to(server.address, &account);
        assert_eq!(contents(&mut ann, direct), ["1", "2", "3", "4"]);
        // It never goes back, and ends at the end.
        assert_eq!(ben.ask_again(&clear(direct, Seq(1))), Reply::Done);
        assert_eq!(contents(&mut ben, direct), ["4"]);
        assert_eq!(ben.ask_again(&clear(direct, Seq(1_000_000))), Reply::Done);
        assert_eq!(contents(&mut ben, direct), [""; 0]);
        ann.send(to_ben(), "5");
        assert_eq!(&*ben.message().content, "5");
        assert_eq!(contents(&mut ben, direct), ["5"]);
        let row = listed(&mut ben, direct);
        assert_eq!((row.first_seq, row.last_seq), (Seq(5), Seq(5)));
    }
}

#[test]
fn notes_are_kept_once_for_oneself_alone() {
    for mut server in [Server::start(&[]), start_on_shared()] {
        let (mut ann, account) = Client::join(server.address, "ann");
        let notes = ann.send(Target::User(account.id), "milk").conversation;
        assert_eq!(ann.send(Target::Name("ANN".into()), "bread").conversation, notes);
        let read = Command::from(Request::Read(Cursor { conversation: notes, seq: Seq(2) }));
        assert_eq!(ann.ask_again(&read), Reply::Done);
        assert_eq!(ann.take_pushes(), [], "neither the notes nor receipts are pushed");
        server.kill9();
        server.restart();
        let mut ann = Client::connect(server.address);
        let login = ann.login(&account);
        let [row] = &login.conversations[..] else { panic!("{:?}", login.conversations) };
        assert_eq!((row.conversation, row.peer, &*row.name), (notes, Some(account.id), "ann"));
        assert_eq!((row.last_seq, row.peer_delivered_seq, row.peer_read_seq), (Seq(2), None, None));
        assert_eq!(contents(&mut ann, notes), ["milk", "bread"]);
        // The server writes cursors once a second, so the kill may have taken them.
        assert_eq!(ann.ask_again(&read), Reply::Done);
        ann.send(Target::Conversation(notes), "eggs");
        assert_eq!(listed(&mut ann, notes).read_seq, Seq(3), "own ones are read");
    }
}
