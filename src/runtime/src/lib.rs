//! What every thread of the server runs on: bounded queues of batches, bells that wake a sleeping thread, workers,
//! the watchdog, and the log writer.
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
//! * A *queue* ([`queue`]) is a bounded channel. One push carries all that one turn of the sender produced.
//! * A *bell* ([`queue::Bell`]) wakes the receiver, and reaches the kernel only if the receiver sleeps.
//! * A *worker* ([`worker`]) is a blocking thread with an inbox, a bell, a stop flag and a place in the watchdog's
//!   circle or outside it. The acceptor and the reactors sleep in epoll instead and have loops of their own.
//! * The *watchdog* ([`watchdog`]) is fed only while every watched loop turns. [`watchdog::Role`] lists which are.
//! * The *log writer* ([`log_writer`]) formats lines for a terminal or the journal.
//!
//! Who may wait for whom on a full queue: acceptor -> reactor; logic -> reactor; storage, password and bus-out ->
//! logic. A reactor never waits, and logic waits for reactors alone, so no circle of waiting threads can close.

#![forbid(unsafe_code)]

pub mod log_writer;
pub mod queue;
pub mod watchdog;
pub mod worker;
