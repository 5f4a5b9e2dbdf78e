//! `ViewProperties`: how a widget's rows are drawn. (User Guide, "View properties for widgets".)

use std::collections::BTreeMap;

const SIZES: [&str; 2] = ["Height", "Width"];
/// Of every view.
const COMMON: [&str; 4] = ["Height", "Title", "View", "Width"];

/// Why view properties are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// It says nothing of how to draw.
    #[error("View is {view:?}; it can be Table, LineChart, PieChart or BarChart")]
    View {
        /// What was given.
        view: String,
    },
    /// One is missing.
    #[error("a {view} needs the view property {name}")]
    Missing {
        /// The view.
        view: String,
        /// The property.
        name: &'static str,
    },
    /// One is of no use.
    #[error("a {view} has no view property {name}")]
    Unknown {
        /// The view.
        view: String,
        /// The property.
        name: String,
    },
    /// It is no size.
    #[error("the view property {name} is {text:?}, which is no number above 0")]
    Size {
        /// The property.
        name: &'static str,
        /// What was given.
        text: String,
    },
    /// It is no direction.
    #[error("the view property Orientation is {text:?}; it can be Horizontal or Vertical")]
    Orientation {
        /// What was given.
        text: String,
    },
}

/// Checks the properties of one widget.
pub(crate) fn check(properties: &BTreeMap<String, String>) -> Result<(), ViewError> {
    let view = properties.get("View").cloned().unwrap_or_default();
    let (required, optional): (&[&str], &[&str]) = match &*view {
        "Table" => (&[], &[]),
        "LineChart" => (&["YAxisColumn", "XAxisColumn"], &["FilterColumn"]),
        "PieChart" => (&["LabelColumn", "ValueColumn"], &["FilterColumn"]),
        "BarChart" => (&["LabelColumn", "ValueColumn"], &["FilterColumn", "Orientation"]),
        _ => return Err(ViewError::View { view }),
    };
    if let Some(name) = COMMON.iter().chain(required).find(|name| !properties.contains_key(**name)) {
        return Err(ViewError::Missing { view, name });
    }
    let is_known = |name: &&str| COMMON.contains(name) || required.contains(name) || optional.contains(name);
    if let Some(name) = properties.keys().find(|name| !is_known(&name.as_str())) {
        return Err(ViewError::Unknown { view, name: name.clone() });
    }
    for name in SIZES {
        let text = &properties[name];
        if !text.parse::<f64>().is_ok_and(|size| size.is_finite() && size > 0.0) {
            return Err(ViewError::Size { name, text: text.clone() });
        }
    }
    match properties.get("Orientation").map(String::as_str) {
        None | Some("Horizontal" | "Vertical") => Ok(()),
        Some(other) => Err(ViewError::Orientation { text: other.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(view: &str, more: &[(&str, &str)]) -> String {
        let common = [("Height", "2"), ("Title", "t"), ("View", view), ("Width", "4")];
        let all = common.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        check(&all.collect()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn each_view_has_its_properties() {
        assert_eq!(told("Table", &[]), "");
        assert_eq!(told("LineChart", &[("YAxisColumn", "y"), ("XAxisColumn", "x"), ("FilterColumn", "f")]), "");
        let chart = [("LabelColumn", "l"), ("ValueColumn", "v")];
        assert_eq!(told("PieChart", &chart), "");
        assert_eq!(told("BarChart", &[chart[0], chart[1], ("Orientation", "Vertical")]), "");
        for (view, more, words) in [
            ("Cake", vec![], "View is \"Cake\""),
            ("LineChart", vec![("YAxisColumn", "y")], "needs the view property XAxisColumn"),
            ("Table", vec![("LabelColumn", "l")], "Table has no view property LabelColumn"),
            ("PieChart", vec![chart[0], chart[1], ("Orientation", "Vertical")], "no view property Orientation"),
            ("BarChart", vec![chart[0], chart[1], ("Orientation", "Up")], "Orientation is \"Up\""),
            ("Table", vec![("Height", "tall")], "Height is \"tall\""),
            ("Table", vec![("Width", "-1")], "Width is \"-1\""),
        ] {
            let told = told(view, &more);
            assert!(told.contains(words), "{view} {more:?}: {told}");
        }
        assert!(check(&BTreeMap::new()).is_err());
    }
}
