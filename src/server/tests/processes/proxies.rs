//! Behind a real nginx with the shipped configuration: client addresses, dead nodes, and new nodes.

use crate::support::{Account, Client, Nginx, PASSWORD, PATIENCE, Server};
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};
use wire::account::Who;
use wire::session;
use wire::{Command, Credentials, Reply, Target};

/// A server that trusts a proxy on this machine.
fn node() -> Server {
    Server::start(&["--set", r#"chat.proxies=["127.0.0.1"]"#, "--set", "log.level=debug"])
}

fn by_password(account: &Account, password: &str) -> Command {
    let credentials = Credentials::Password { who: Who::Id(account.id), password: password.into() };
    Command::Session(session::Request::Login(session::Login::new(credentials)))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn logs_name_the_client_and_not_the_proxy() {
    let node = node();
    let nginx = Nginx::start(&[node.address]);
    let (mut ann, source) = Client::connect_from(ip("127.0.0.9"), nginx.address);
    ann.register("ann");
    drop(ann);
    node.wait_for_log(&format!(" from {source}: "));
    // A direct connection from the address of a trusted proxy is logged as itself.
    let (mut bob, source) = Client::connect_from(ip("127.0.0.1"), node.address);
    bob.register("bob");
    drop(bob);
    node.wait_for_log(&format!(" from {source}: "));
}

#[test]
fn password_guessing_is_throttled_by_the_client_address() {
    let node = node();
    let nginx = Nginx::start(&[node.address]);
    let ann = Client::connect(nginx.address).register("ann");
    let wait_of_refusal = |from: &str, secret: &str| {
        let (mut client, _) = Client::connect_from(ip(from), nginx.address);
        match client.ask(&by_password(&ann, secret)) {
            Reply::Session(session::Reply::LoggedIn(_)) => None,
            Reply::Refused(refusal) => Some(refusal.retry_after_ms.unwrap_or(0)),
            other => panic!("LOGIN was answered {other:?}"),
        }
    };
    let until = Instant::now() + 2 * PATIENCE;
    loop {
        assert!(Instant::now() < until, "guessing is never slowed");
        let wait = wait_of_refusal("127.0.0.5", "wrong").expect("the password is wrong");
        if wait > 3_000 {
            break;
        }
        thread::sleep(Duration::from_millis(wait));
    }
    assert!(wait_of_refusal("127.0.0.5", PASSWORD).is_some(), "the right one is not heard there, either");
    // From another address it is accepted: the account alone takes one try a second from any address.
    while let Some(wait) = wait_of_refusal("127.0.0.6", PASSWORD) {
        assert!(wait <= 1_000, "{wait} ms: that is the other address's");
        thread::sleep(Duration::from_millis(wait));
    }
}

#[test]
fn nginx_passes_over_a_dead_node() {
    let (mut first, second) = (node(), node());
    let nginx = Nginx::start(&[first.address, second.address]);
    // Connections stay open, so that the least loaded node is not always the same one.
    let mut clients: Vec<Client> = Vec::new();
    for number in 0..6 {
        let mut client = Client::connect(nginx.address);
        client.register(&format!("before {number}"));
        clients.push(client);
    }
    let dead = first.address;
    first.kill9();
    for number in 0..20 {
        let mut client = Client::connect(nginx.address);
        client.register(&format!("after {number}"));
        clients.push(client);
    }
    let failures = nginx.log().matches(&format!("upstream: \"{dead}\"")).count();
    assert!(failures > 0, "the dead node was never tried: {}", nginx.log());
    assert!(failures < 20, "a node that is known to be dead is tried again and again");
}

#[test]
fn adding_a_node_moves_no_client() {
    let (first, second) = (node(), node());
    let nginx = Nginx::start(&[first.address]);
    let (mut ann, account) = Client::join(nginx.address, "ann");
    let (mut direct, _) = Client::join(first.address, "bob");
    nginx.reload(&[first.address, second.address]);
    // New connections reach the second node once nginx has the new configuration.
    let until = Instant::now() + PATIENCE;
    let mut others = Vec::new();
    while !nginx.log().contains(&format!("connected to {}", second.address)) {
        assert!(Instant::now() < until, "nobody is sent to the new node: {}", nginx.log());
        let mut other = Client::connect(nginx.address);
        other.register(&format!("other {}", others.len()));
        others.push(other);
    }
    // Ann is still logged in on the same connection, served by the same node.
    ann.heartbeat(account.id);
    let group = ann.create_group("still here");
    ann.send(Target::Conversation(group), "hello");
    direct.send(Target::User(account.id), "hello");
    assert_eq!(&*ann.message().content, "hello");
}
