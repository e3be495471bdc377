//! The thread infrastructure of the server: bounded queues of batches, bells that wake a sleeping thread, workers, the
//! watchdog, and the log writer; and files that are safe to open.
//!
//! ```text
//!              sockets              Vec<Input>               Vec<(Ticket, Write)>
//!   acceptor ----------> reactor n ------------>         ----------------------> store ..
//!                        reactor n <------------  logic  <----------------------  Outcome
//!                                   Vec<Order>     ^  |  ----------------------> read ..
//!                                                  |  |   Vec<(Ticket, Read)>
//!                        password <----------------+--+-------------> bus-out
//!                          Vec<(Ticket, Job)>, results     Vec<BusOrder> | Redis
//!                                                  ^                     v
//!                                                  +---Vec<BusInput>--- bus-in
//! ```
//!
//! * A *queue* ([`queue`]) is a bounded channel. One push carries everything that a turn of the sender produced.
//! * A *bell* ([`queue::Bell`]) wakes the receiver, with a system call only if the receiver sleeps.
//! * A *worker* ([`worker`]) is a blocking thread with an inbox, a bell, a stop flag and, if it is watched, a place in
//!   the watchdog's circle. The acceptor and the reactors sleep in epoll instead and have loops of their own.
//! * The *watchdog* ([`watchdog`]) is fed only while every watched loop turns. [`watchdog::Role`] lists the watched
//!   loops.
//! * [`counters`] are what threads count about themselves.
//! * [`regular_file`] opens files that a path from outside names.
//! * The *log writer* ([`log_writer`]) formats lines for a terminal or the journal.
//!
//! On a full queue the acceptor and logic may wait for a reactor, and storage, password and bus-out for logic. A
//! reactor never waits and logic waits only for reactors, so threads cannot deadlock.

#![forbid(unsafe_code)]

pub mod counters;
pub mod log_writer;
pub mod queue;
pub mod regular_file;
pub mod watchdog;
pub mod worker;
