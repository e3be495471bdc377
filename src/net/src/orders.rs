//! Orders of logic, carried out on the connections of one reactor.

use crate::close::CloseReason;
use crate::codec::FanOut;
use crate::context::Context;
use crate::table::ConnectionTable;
use logic::Order;
use wire::Push;

/// Orders about a connection that is gone or being closed are dropped.
pub(crate) fn carry_out(
    order: Order,
    connections: &mut ConnectionTable,
    fan_out: &mut FanOut,
    context: &mut Context,
) {
    match order {
        Order::Reply { conn, kind, request, reply } => {
            if let Some(conn) = connections.find_open(conn) {
                conn.reply(kind, request, &reply, context);
            }
        }
        Order::Welcome { conn, welcome } => {
            if let Some(conn) = connections.find_open(conn) {
                conn.welcome(&welcome, context);
            }
        }
        // All requests of these connections belong to sessions.
        Order::Granted { .. } => {}
        Order::Push { conn, push } => {
            if let Some(conn) = connections.find_open(conn) {
                context.counters.delivered.add(matches!(push, Push::Message(_)).into());
                conn.push(&push, fan_out, context);
            }
        }
        Order::Deliver { message, to } => {
            fan_out.clear();
            context.counters.delivered.add(to.len() as u64);
            for id in to {
                if let Some(conn) = connections.find_open(id) {
                    conn.deliver(&message, fan_out, context);
                }
            }
        }
        Order::LoggedIn { conn, user } => connections.log_in(conn, user, context),
        Order::LoggedOut { conn } => connections.log_out(conn, context),
        Order::NotifyDrained { conn } => {
            if let Some(conn) = connections.find_open(conn) {
                conn.notify_drained(context);
            }
        }
        Order::Close { conn, reason } => connections.close(conn, CloseReason::Ordered(reason), context),
    }
}
