//! The account that the code of a stream has chosen.

use heist_scheduler::{Account, account, set_account};

/// The account that the code of a stream of HTTP/2 has chosen; none as long as it is the connection's.
///
/// All streams run in the connection's task. So the choice of one holds while its code runs, and not for
/// the task.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChosenAccount(Option<Account>);

impl ChosenAccount {
    /// Runs code of the stream, which does not unwind, on the account that it has chosen.
    pub(super) fn run<R>(&mut self, code: impl FnOnce() -> R) -> R {
        let connection = account();
        if let Some(chosen) = self.0 {
            set_account(chosen);
        }
        let result = code();
        let chosen = account();
        self.0 = (chosen != connection).then_some(chosen);
        if self.0.is_some() {
            set_account(connection);
        }
        result
    }
}
