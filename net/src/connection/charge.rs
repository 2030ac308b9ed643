//! What one connection, or one of its buffers, holds of the server's budget.

use super::budget::{Budget, OverBudget};

/// The bytes that a budget is charged with for one buffer.
///
/// The owner gives them back by [`release`](Charge::release): a charge does not know its budget, so
/// that it takes one word.
#[derive(Debug, Default)]
pub(crate) struct Charge(usize);

impl Charge {
    /// Makes the charge `bytes`. Writes nothing shared where it is that already.
    ///
    /// # Errors
    ///
    /// [`OverBudget`] if the budget does not allow for it; then the charge is what it was.
    #[inline]
    pub(crate) fn set(&mut self, budget: &Budget, bytes: usize) -> Result<(), OverBudget> {
        if bytes != self.0 {
            budget.change(self.0, bytes)?;
            self.0 = bytes;
        }
        Ok(())
    }

    /// Gives back all of it.
    pub(crate) fn release(&mut self, budget: &Budget) {
        if self.0 > 0 {
            budget.shrink(std::mem::take(&mut self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_charge_is_what_it_was_and_is_given_back_once() {
        let budget = Budget::new(10);
        let (mut one, mut other) = (Charge::default(), Charge::default());
        assert_eq!(one.set(&budget, 6), Ok(()));
        assert_eq!(other.set(&budget, 5), Err(OverBudget { limit: 10 }));
        assert_eq!(other.set(&budget, 4), Ok(()));
        assert_eq!(one.set(&budget, 7), Err(OverBudget { limit: 10 }));
        assert_eq!(budget.used(), 10);
        one.release(&budget);
        one.release(&budget);
        assert_eq!(budget.used(), 4);
    }
}
