//! The conformance suite: what every store must do, written once and run against each of them.

mod account;
mod change;
mod contact;
mod conversation;
mod device;
mod edit;
mod entry;
mod group;
mod history;
mod last_message;
mod membership;
mod message;
mod node;
mod page_cost;
mod presence;
mod quota;
mod readers;
mod references;
mod retention;
mod scenario;
mod search;
mod session;
mod sessionless;
mod timeline;
mod token;
mod unread;

pub use change::{change, made};
pub use page_cost::users;
pub use scenario::{
    BEGIN, Fixture, Scenario, actor, append, appended, change_members, changed, create, entry, join, walk,
};

/// A case; it begins with an empty store.
pub type Case = fn(&mut Scenario<'_>);

/// All cases by name.
pub const CASES: &[(&str, Case)] = &[
    ("account names are unique by key", account::account_names_are_unique_by_key),
    ("names that look like another are taken", account::names_that_look_like_another_are_taken),
    ("accounts of older versions claim their names", account::accounts_of_older_versions_claim_their_names),
    (
        "a name in another form finds the only account that it fits",
        account::a_name_in_another_form_finds_the_only_account_that_it_fits,
    ),
    ("profiles tell friends from others", account::profiles_tell_friends_from_others),
    (
        "users are found by id and by the beginning of their names",
        account::users_are_found_by_id_and_by_the_beginning_of_their_names,
    ),
    (
        "a user whose id is the beginning of names is found first",
        account::a_user_whose_id_is_the_beginning_of_names_is_found_first,
    ),
    ("tokens expire and can be extended and revoked", token::tokens_expire_and_can_be_extended_and_revoked),
    ("a token keeps the kind of its client", token::a_token_keeps_the_kind_of_its_client),
    (
        "the token of register belongs to the first login",
        token::the_token_of_register_belongs_to_the_first_login,
    ),
    (
        "a claim revokes the token of the session before",
        token::a_claim_revokes_the_token_of_the_session_before,
    ),
    ("logins in force are listed", device::logins_in_force_are_listed),
    (
        "a login is online while its session is connected",
        device::a_login_is_online_while_its_session_is_connected,
    ),
    ("a revoked login writes nothing more", device::a_revoked_login_writes_nothing_more),
    ("revoking ends only what was meant", device::revoking_ends_only_what_was_meant),
    (
        "a session of a dead node does not keep its account online",
        device::a_session_of_a_dead_node_does_not_keep_its_account_online,
    ),
    ("a login in progress is revoked as well", device::a_login_in_progress_is_revoked_as_well),
    ("a changed password ends all other logins", device::a_changed_password_ends_all_other_logins),
    ("a token names its holder until it ends", sessionless::a_token_names_its_holder_until_it_ends),
    (
        "what a token sends is stored once and only while it is in force",
        sessionless::what_a_token_sends_is_stored_once_and_only_while_it_is_in_force,
    ),
    (
        "a token is revoked with the sessions that live by it",
        sessionless::a_token_is_revoked_with_the_sessions_that_live_by_it,
    ),
    ("an ended token identifies a known client", token::an_ended_token_identifies_a_known_client),
    ("the latest ended tokens are kept", token::the_latest_ended_tokens_are_kept),
    ("the latest networks of logins are familiar", token::the_latest_networks_of_logins_are_familiar),
    ("an account shows what its sessions set", presence::an_account_shows_what_its_sessions_set),
    ("when a user was last seen is kept", presence::when_a_user_was_last_seen_is_kept),
    ("friendship is mutual", contact::friendship_is_mutual),
    ("friends are paged", contact::friends_are_paged),
    ("either friend ends a friendship", contact::either_friend_ends_a_friendship),
    ("notes about a friend are the user's own", contact::notes_about_a_friend_are_the_users_own),
    ("group members have roles", group::group_members_have_roles),
    ("a new member sees only later messages", group::a_new_member_sees_only_later_messages),
    (
        "whoever leaves sees what came before and nothing after",
        membership::whoever_leaves_sees_what_came_before_and_nothing_after,
    ),
    (
        "whoever joins again sees what comes from then on",
        membership::whoever_joins_again_sees_what_comes_from_then_on,
    ),
    ("roles are set and handed over", membership::roles_are_set_and_handed_over),
    ("a barred user does not join again", membership::a_barred_user_does_not_join_again),
    ("a group without members is dismissed", membership::a_group_without_members_is_dismissed),
    ("what is changed after a removal is not told", membership::what_is_changed_after_a_removal_is_not_told),
    ("a roster lists who has left", membership::a_roster_lists_who_has_left),
    (
        "the cost of a roster does not grow with who has left",
        membership::the_cost_of_a_roster_does_not_grow_with_who_has_left,
    ),
    (
        "whoever cleared a group before leaving is given nothing below",
        membership::whoever_cleared_a_group_before_leaving_is_given_nothing_below,
    ),
    (
        "nodes learn of a leave where the user has several sessions",
        membership::nodes_learn_of_a_leave_where_the_user_has_several_sessions,
    ),
    ("changes of a group are entries of its timeline", entry::changes_of_a_group_are_entries_of_its_timeline),
    ("entries lie between messages without a gap", entry::entries_lie_between_messages_without_a_gap),
    ("entries do not move a conversation in the list", entry::entries_do_not_move_a_conversation_in_the_list),
    ("what clients stored as an entry is a message", entry::what_clients_stored_as_an_entry_is_a_message),
    (
        "a reaction is an entry and a part of its message",
        change::a_reaction_is_an_entry_and_a_part_of_its_message,
    ),
    (
        "a reaction that changes nothing makes no entry",
        change::a_reaction_that_changes_nothing_makes_no_entry,
    ),
    ("only what a member sees can be reacted to", change::only_what_a_member_sees_can_be_reacted_to),
    ("a cid belongs to one message or change", change::a_cid_belongs_to_one_message_or_change),
    ("reactions are counted and their kinds bounded", change::reactions_are_counted_and_their_kinds_bounded),
    ("changes of one message meet in one batch", change::changes_of_one_message_meet_in_one_batch),
    (
        "changes do not move a conversation in the list",
        change::changes_do_not_move_a_conversation_in_the_list,
    ),
    ("a page without changes leaves them out", change::a_page_without_changes_leaves_them_out),
    ("an edited message is read with its new text", edit::an_edited_message_is_read_with_its_new_text),
    ("only its sender edits a message, in time", edit::only_its_sender_edits_a_message_in_time),
    ("a recalled message has no text any more", edit::a_recalled_message_has_no_text_any_more),
    ("who recalls a message, and until when", edit::who_recalls_a_message_and_until_when),
    ("a repeated edit or recall is made once", edit::a_repeated_edit_or_recall_is_made_once),
    ("edits and recalls meet in one batch", edit::edits_and_recalls_meet_in_one_batch),
    ("edits and recalls span months", edit::edits_and_recalls_span_months),
    ("timelines have no gaps", message::timelines_have_no_gaps),
    ("only members can write and read", message::only_members_can_write_and_read),
    (
        "a direct conversation is the same for both users",
        message::a_direct_conversation_is_the_same_for_both_users,
    ),
    ("a message to oneself is a note", message::a_message_to_oneself_is_a_note),
    ("a cid is stored once", message::a_cid_is_stored_once),
    ("cids are remembered for a day", message::cids_are_remembered_for_a_day),
    ("texts are stored unchanged", message::texts_are_stored_unchanged),
    ("history pages are bounded in size", message::history_pages_are_bounded_in_size),
    ("history spans months", history::history_spans_months),
    ("months stay in order when the clock goes back", history::months_stay_in_order_when_the_clock_goes_back),
    ("cursors never move back", timeline::cursors_never_move_back),
    ("a login view shows where the user is behind", timeline::a_login_view_shows_where_the_user_is_behind),
    ("settings are a member's own", conversation::settings_are_a_members_own),
    (
        "a hidden conversation comes back with its next message",
        conversation::a_hidden_conversation_comes_back_with_its_next_message,
    ),
    ("what a member cleared is gone for it alone", conversation::what_a_member_cleared_is_gone_for_it_alone),
    ("conversations are listed latest first", timeline::conversations_are_listed_latest_first),
    ("an own message in a group has readers", readers::an_own_message_in_a_group_has_readers),
    (
        "only the sender of a message learns its readers",
        readers::only_the_sender_of_a_message_learns_its_readers,
    ),
    ("names of readers are read only for a page", readers::names_of_readers_are_read_only_for_a_page),
    ("messages refer to messages and members", references::messages_refer_to_messages_and_members),
    (
        "a message refers only to what its sender sees",
        references::a_message_refers_only_to_what_its_sender_sees,
    ),
    ("the ends of all timelines are listed", search::the_ends_of_all_timelines_are_listed),
    ("what was appended since a mark is told", search::what_was_appended_since_a_mark_is_told),
    ("unread are the messages of others above what was read", unread::unread_are_the_messages_of_others),
    ("a long direct conversation is counted exactly", unread::a_long_direct_conversation_is_counted_exactly),
    ("a long group is counted to a lower bound", unread::a_long_group_is_counted_to_a_lower_bound),
    ("counts equal a recount after any operations", unread::counts_equal_a_recount_after_any_operations),
    ("the cost of a count does not grow with what is unread", unread::the_cost_of_a_count_does_not_grow),
    ("what has no totals is read once", unread::what_has_no_totals_is_read_once),
    (
        "rows show the last message that a member sees",
        last_message::rows_show_the_last_message_that_a_member_sees,
    ),
    ("months that are not kept are dropped", retention::months_that_are_not_kept_are_dropped),
    (
        "what is sent while the clock is behind is kept",
        retention::what_is_sent_while_the_clock_is_behind_is_kept,
    ),
    ("a drop that is interrupted is finished", retention::a_drop_that_is_interrupted_is_finished),
    (
        "counts equal a recount while months are dropped",
        retention::counts_equal_a_recount_while_months_are_dropped,
    ),
    ("unread conversations are paged", timeline::unread_conversations_are_paged),
    (
        "the cost of a page does not grow with the account",
        page_cost::the_cost_of_a_page_does_not_grow_with_the_account,
    ),
    ("quotas bound what an account creates", quota::quotas_bound_what_an_account_creates),
    ("a quota of a day ends with it", quota::a_quota_of_a_day_ends_with_it),
    ("a group has at most its members", quota::a_group_has_at_most_its_members),
    ("a claim raises the epoch", session::a_claim_raises_the_epoch),
    ("a superseded session writes nothing", session::a_superseded_session_writes_nothing),
    (
        "a session survives its connection for its grace",
        session::a_session_survives_its_connection_for_its_grace,
    ),
    ("a claim can spare a connected session", session::a_claim_can_spare_a_connected_session),
    ("a claim ends sessions of the same kind only", session::a_claim_ends_sessions_of_the_same_kind_only),
    ("a token and a device have one session", session::a_token_and_a_device_have_one_session),
    (
        "beyond the limit the longest silent session ends",
        session::beyond_the_limit_the_longest_silent_session_ends,
    ),
    ("a repeated claim is one session", session::a_repeated_claim_is_one_session),
    ("what a session sent before it left is stored", session::what_a_session_sent_before_it_left_is_stored),
    ("few sessions that have ended are remembered", session::few_sessions_that_have_ended_are_remembered),
    ("sessions that have ended are forgotten", session::sessions_that_have_ended_are_forgotten),
    ("ended sessions are listed for their node", node::ended_sessions_are_listed_for_their_node),
    (
        "a node that may not have been heard is reported",
        node::a_node_that_may_not_have_been_heard_is_reported,
    ),
    (
        "undelivered conversations are listed for a node",
        node::undelivered_conversations_are_listed_for_a_node,
    ),
    ("a roster lists every member with its cursor", node::a_roster_lists_every_member_with_its_cursor),
];
