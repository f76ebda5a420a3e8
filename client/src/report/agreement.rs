//! How far the views of Python files agree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one view and `ast` saw, and how much of it alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Agreed {
    /// Things that at least one of the two saw.
    pub compared: i64,
    /// Those that both saw alike.
    pub agreed: i64,
}

impl Agreed {
    /// Share that agrees; nothing disagrees where nothing was compared.
    pub fn rate(self) -> f64 {
        if self.compared == 0 { 1.0 } else { self.agreed as f64 / self.compared as f64 }
    }
}

/// The rate of agreement over a snapshot: of all views, and of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgreementRate {
    /// Share of what was compared that agrees, from 0 to 1.
    pub rate: f64,
    /// All views together.
    #[serde(flatten)]
    pub total: Agreed,
    /// By view.
    pub views: BTreeMap<String, Agreed>,
}

impl AgreementRate {
    /// Of these views.
    pub fn new(views: BTreeMap<String, Agreed>) -> Self {
        let total = views.values().fold(Agreed::default(), |sum, view| Agreed {
            compared: sum.compared + view.compared,
            agreed: sum.agreed + view.agreed,
        });
        Self { rate: total.rate(), total, views }
    }

    /// For people. A disagreement is never rounded away.
    pub fn to_text(&self) -> String {
        let views: Vec<String> = self.views.iter().map(|(name, view)| format!("{name} {}", percent(*view))).collect();
        let Agreed { agreed, compared } = self.total;
        let numbers = format!("{} of {}", super::summary::count_i(agreed), super::summary::count_i(compared));
        match views.is_empty() {
            true => "nothing to compare".into(),
            false => format!("{} ({numbers}: {})", percent(self.total), views.join(", ")),
        }
    }
}

fn percent(agreed: Agreed) -> String {
    format!("{:.2}%", (agreed.rate() * 1e4).floor() / 1e2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_disagreement_is_seen() {
        let view = |compared, agreed| Agreed { compared, agreed };
        let views = [("ts", view(100_000, 99_999)), ("cst", view(400, 400))];
        let rate = AgreementRate::new(views.map(|(name, view)| (name.to_owned(), view)).into());
        assert_eq!(rate.to_text(), "99.99% (100,399 of 100,400: cst 100.00%, ts 99.99%)");
        assert_eq!(serde_json::to_value(&rate).unwrap()["compared"], 100_400);
        assert_eq!(AgreementRate::new(BTreeMap::new()).to_text(), "nothing to compare");
    }
}
