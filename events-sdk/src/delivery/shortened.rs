//! Spill files that were cut short while no process ran: that they were is told with their names, once it is known that events are gone.

use crate::spool::{Cut, FileName};

/// So many are told one by one.
const MOST: usize = 16;

/// Files that were cut short.
#[derive(Debug, Default)]
pub(crate) struct Shortened {
    named: Vec<(FileName, Cut)>,
    /// How many there are beyond these, and their events as far as they are known.
    more: [u64; 2],
}

impl Shortened {
    pub(super) fn add(&mut self, file: &FileName, cut: Cut) {
        let events = match cut {
            Cut::Nothing => return,
            Cut::Events(events) => events,
            Cut::NobodyKnows => 0,
        };
        if self.named.len() < MOST {
            self.named.push((file.clone(), cut));
        } else {
            self.more[0] += 1;
            self.more[1] += u64::from(events);
        }
    }

    /// Tells the log. What is lost is counted with all that earlier processes should have left.
    pub(super) fn tell(&self) {
        for (file, cut) in &self.named {
            match cut {
                Cut::Events(lost) => {
                    tracing::error!(%file, lost, "a spill file was cut short; what is gone of it is lost");
                }
                _ => tracing::error!(
                    %file,
                    "a spill file was cut short or written over, and nothing in it tells how many events are gone"
                ),
            }
        }
        let [files, lost] = self.more;
        if files > 0 {
            tracing::error!(files, lost, "more spill files were cut short; what is gone of them is lost");
        }
    }
}
