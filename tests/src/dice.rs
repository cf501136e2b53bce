//! Chance from a seed.

use passcode_domain::ports::Entropy as _;
use passcode_testkit::FakeEntropy;

/// Dice that fall the same in every run.
pub struct Dice(FakeEntropy);

impl Dice {
    /// Dice of a seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(FakeEntropy::seeded(seed))
    }

    /// A number below `end`. That it is a hair more often a low one does not matter here.
    #[must_use]
    pub fn below(&self, end: u64) -> u64 {
        u64::from_le_bytes(self.0.bytes()) % end
    }

    /// What comes true in so many of a thousand cases.
    #[must_use]
    pub fn per_mille(&self, cases: u64) -> bool {
        self.below(1000) < cases
    }
}
