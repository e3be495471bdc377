//! What the users of the devices do.

use super::World;
use wire::Target;
use wire::group::Role;

impl World {
    /// A device changes something that it has shown.
    pub fn change(&mut self, device: usize) {
        self.texts += 1;
        let (ms, text) = (self.ms, format!("text {}", self.texts));
        self.devices[device].change(ms, text, &mut self.dice);
        self.pump(device);
    }

    pub fn write_text(&mut self, device: usize) {
        let user = self.devices[device].user;
        let others: Vec<_> = self.users.iter().copied().filter(|&other| other != user).collect();
        let target = match self.dice.once_in(3) && self.members.contains(&user) {
            true => Target::Conversation(self.group),
            false => Target::User(*self.dice.pick(&others).expect("not alone")),
        };
        self.texts += 1;
        let text = format!("text {}", self.texts);
        let ms = self.ms;
        match self.dice.once_in(4) {
            true => self.devices[device].answer(ms, target, text, &mut self.dice),
            false => self.devices[device].write(ms, target, text),
        }
        self.pump(device);
    }

    /// A user joins the group or leaves it, or changes something about another one; or tries to.
    pub fn change_group(&mut self, device: usize) {
        let (ms, group) = (self.ms, self.group);
        let other = *self.dice.pick(&self.users).expect("there are users");
        let session = &mut self.devices[device].session;
        match self.dice.below(10) {
            0..5 => session.join_group(ms, group),
            5 => session.leave_group(ms, group),
            6..8 => session.remove_member(ms, group, other, false),
            8 => {
                let role = if self.dice.once_in(4) { Role::Normal } else { Role::Admin };
                session.set_role(ms, group, other, role)
            }
            _ => session.transfer_group(ms, group, other),
        };
        self.pump(device);
    }
}
