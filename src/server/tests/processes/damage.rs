//! Damaged rows: whoever needs them is told INTERNAL, the log names them, and everybody else is served.

use crate::support::client::{errno, text};
use crate::support::{Account, Client, MariaDb, PASSWORD, Server};
use mysql::prelude::Queryable;
use std::net::SocketAddr;
use wire::account::Who;
use wire::{Command, ConversationId, Credentials, Direction, Errno, Page, Reply, Seq, Target, UserId};
use wire::{account, contact, group, session, timeline};

/// Values that a damaged column may hold, as far as its type admits them.
const VALUES: [&str; 6] = ["NULL", "x'ff00'", "'what'", "-1", "77", "2147483647"];

/// Two pairs of friends who share nothing.
struct World {
    pairs: [Pair; 2],
}

struct Pair {
    one: Account,
    other: Account,
    direct: ConversationId,
    shared: ConversationId,
}

impl World {
    fn new(address: SocketAddr) -> World {
        World { pairs: [["ann", "ben"], ["carl", "dora"]].map(|names| Pair::new(address, names)) }
    }
}

impl Pair {
    fn new(address: SocketAddr, names: [&str; 2]) -> Pair {
        let [(mut client, one), (mut second, other)] = names.map(|name| Client::join(address, name));
        client.befriend(other.id);
        let shared = client.create_group("all");
        second.join_group(shared);
        let direct = client.send(Target::User(other.id), "hello").conversation;
        client.send(Target::Conversation(shared), "hello all");
        Pair { one, other, direct, shared }
    }

    /// Every request of the first of the two, on a new connection. Returns the error numbers.
    fn all_requests(&self, address: SocketAddr) -> Vec<Errno> {
        let mut client = Client::connect(address);
        let page = Page { after: 0, limit: 10 };
        let history = |conversation| {
            let direction = Direction::After(Seq(0));
            Command::Timeline(timeline::Request::History(timeline::History {
                conversation,
                direction,
                limit: 50,
                with_changes: true,
            }))
        };
        let add = contact::Add { who: Who::Id(self.other.id), message: None };
        let requests = [
            Client::by_token(&self.one),
            Command::Account(account::Request::Profile(Some(Who::Id(self.other.id)))),
            Command::Account(account::Request::Profile(None)),
            Command::Contact(contact::Request::Friends(page)),
            Command::Contact(contact::Request::Add(add)),
            Command::Group(group::Request::Groups(page)),
            Command::Group(group::Request::Members(group::Members { conversation: self.shared, page })),
            Command::Timeline(timeline::Request::Conversations(timeline::Conversations {
                before: None,
                limit: 9,
                with_last: false,
            })),
            history(self.direct),
            history(self.shared),
            text(Target::User(self.other.id), "again", None),
            text(Target::Conversation(self.direct), "again", None),
            text(Target::Conversation(self.shared), "again", None),
        ];
        requests.iter().map(|request| errno(&client.ask(request))).collect()
    }
}

fn login(address: SocketAddr, user: UserId) -> Reply {
    let credentials = Credentials::Password { who: Who::Id(user), password: PASSWORD.into() };
    let login = session::Login::new(credentials);
    Client::connect(address).ask(&Command::Session(session::Request::Login(login)))
}

#[test]
fn a_damaged_account_is_refused_and_nobody_else() {
    let mut server = Server::start(&[]);
    let world = World::new(server.address);
    assert!(server.terminate().success());
    let path = server.folder().join("data/chat.db");
    let conn = rusqlite::Connection::open(&path).unwrap();
    let damaged = world.pairs[0].one.id.0;
    conn.execute("UPDATE user SET name = x'ff00' WHERE id = ?1", [damaged]).unwrap();
    drop(conn);
    server.restart();
    for _ in 0..3 {
        assert_eq!(errno(&login(server.address, world.pairs[0].one.id)), Errno::Internal);
        assert_eq!(
            errno(&Client::connect(server.address).ask(&Client::by_token(&world.pairs[0].one))),
            Errno::Internal
        );
    }
    server.wait_for_log(&format!("table `user`, key {damaged}: "));
    assert_eq!(
        server.stderr().matches("the database has a fault: table `user`").count(),
        1,
        "{}",
        server.stderr()
    );
    // Its friend is not affected, and reads what it wrote.
    let mut friend = Client::login_to(server.address, &world.pairs[0].other);
    assert_eq!(friend.history(world.pairs[0].direct, Seq(0)).len(), 1);
    assert!(world.pairs[1].all_requests(server.address).iter().all(is_served));
}

/// Also what was done already.
fn is_served(errno: &Errno) -> bool {
    matches!(errno, Errno::Ok | Errno::Conflict)
}

#[test]
fn a_damaged_value_in_any_column_of_a_server_costs_only_the_requests_that_need_it() {
    let database = MariaDb::shared();
    let name = database.new_name();
    let server = Server::start(&["--set", &format!("storage.url={}", database.url(&name))]);
    let world = World::new(server.address);
    let mut conn = database.connect().unwrap();
    conn.query_drop(format!("USE {name}")).unwrap();
    conn.query_drop("SET SESSION sql_mode = ''").unwrap();
    let columns: Vec<(String, String)> = conn
        .query(format!(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = '{name}' \
             AND table_name <> 'schema_version'"
        ))
        .unwrap();
    let mut cases = 0;
    for (table, column) in columns {
        let key: Vec<String> = conn
            .query(format!(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = '{name}' \
                 AND table_name = '{table}' AND column_key = 'PRI' ORDER BY ordinal_position"
            ))
            .unwrap();
        // The first row is to be one of the first pair; the keys of tokens are random.
        let order = if table == "token" { "user_id".to_owned() } else { key.join(", ") };
        for value in VALUES {
            conn.query_drop("DROP TEMPORARY TABLE IF EXISTS kept").unwrap();
            let first = format!("SELECT * FROM {table} ORDER BY {order} LIMIT 1");
            conn.query_drop(format!("CREATE TEMPORARY TABLE kept AS {first}")).unwrap();
            let changed = conn
                .query_drop(format!("UPDATE IGNORE {table} SET {column} = {value} ORDER BY {order} LIMIT 1"));
            if changed.is_err() || conn.affected_rows() == 0 {
                continue;
            }
            cases += 1;
            world.pairs[0].all_requests(server.address);
            // A request may take too long on a loaded machine; clients ask again.
            let mut others = world.pairs[1].all_requests(server.address);
            for _ in 0..2 {
                if others.contains(&Errno::Unavailable) {
                    others = world.pairs[1].all_requests(server.address);
                }
            }
            assert!(
                others.iter().all(is_served),
                "{table}.{column} = {value}: {others:?}\n{}",
                server.stderr()
            );
            // Whatever became of the row, the one that was kept takes its place.
            let damaged = format!("DELETE FROM {table} WHERE {column} <=> {value} ORDER BY {order} LIMIT 1");
            if key.contains(&column) {
                conn.query_drop(damaged).unwrap();
            }
            conn.query_drop(format!("REPLACE INTO {table} SELECT * FROM kept")).unwrap();
        }
    }
    assert!(cases > 100, "{cases}");
}

#[test]
fn a_permanent_fault_of_the_database_is_no_outage() {
    let database = MariaDb::shared();
    let name = database.new_name();
    let server = Server::start(&["--set", &format!("storage.url={}", database.url(&name))]);
    let (mut ann, account) = Client::join(server.address, "ann");
    let shared = ann.create_group("all");
    // A missing table.
    database.ask(&format!("RENAME TABLE {name}.friend TO {name}.friend_away"));
    let friends = Command::Contact(contact::Request::Friends(Page { after: 0, limit: 10 }));
    assert_eq!(errno(&ann.ask(&friends)), Errno::Internal);
    server.wait_for_log("SELECT on the table `friend`: ");
    database.ask(&format!("RENAME TABLE {name}.friend_away TO {name}.friend"));
    assert_eq!(errno(&ann.ask(&friends)), Errno::Ok);
    // A missing column.
    database.ask(&format!("ALTER TABLE {name}.conversation RENAME COLUMN month TO month_away"));
    assert_eq!(errno(&ann.ask(&text(Target::Conversation(shared), "x", None))), Errno::Internal);
    server.wait_for_log("SELECT on the table `conversation`: ");
    database.ask(&format!("ALTER TABLE {name}.conversation RENAME COLUMN month_away TO month"));
    assert_eq!(errno(&ann.ask(&text(Target::Conversation(shared), "x", None))), Errno::Ok);
    let mut again = Client::connect(server.address);
    again.login(&account);
}
