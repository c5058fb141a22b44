//! Tables whose columns are named once, above the rows.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Epoch,
    Step,
    Loss,
    Other,
}

/// The names of columns, in lower case, and what they hold. The first column of a table is an epoch or a step.
const NAMES: &[(&str, Column)] = &[
    ("e", Column::Epoch),
    ("epoch", Column::Epoch),
    ("itn", Column::Epoch),
    ("#", Column::Step),
    ("step", Column::Step),
    ("iter", Column::Step),
    ("iteration", Column::Step),
    ("loss", Column::Loss),
    ("train_loss", Column::Loss),
    ("trn_loss", Column::Loss),
    ("training loss", Column::Loss),
    ("train loss", Column::Loss),
    ("main/loss", Column::Loss),
    // The sum of the parts, in the older ones of Ultralytics.
    ("total", Column::Loss),
];

/// The names of columns.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

/// The most columns that are told apart.
const COLUMNS_MAX: usize = 16;

/// The columns of the table that a log is in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Columns {
    epoch: Option<u8>,
    step: Option<u8>,
    loss: Option<u8>,
}

/// What a row tells.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in super::super) struct Row<'a> {
    pub(in super::super) epoch: Option<&'a [u8]>,
    pub(in super::super) step: Option<&'a [u8]>,
    pub(in super::super) loss: Option<&'a [u8]>,
}

impl Columns {
    /// The columns that a heading names: `epoch     train_loss  valid_loss  accuracy`. A heading of bars, which
    /// tell their own numbers, is none.
    pub(in super::super) fn of_heading(line: &[u8]) -> Option<Self> {
        let line = line.trim_ascii();
        // Nearly every line is none, and told by its first letter.
        if !matches!(line.first(), Some(b'e' | b'E' | b's' | b'S' | b'i' | b'I' | b'#')) {
            return None;
        }
        let line = std::str::from_utf8(line).ok()?;
        let lower = line.to_lowercase();
        let names: Vec<&str> = if lower.contains('\t') || lower.contains("  ") {
            lower
                .split(['\t'])
                .flat_map(|part| part.split("  "))
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .collect()
        } else {
            return None;
        };
        if !names
            .iter()
            .all(|name| name.starts_with(|first: char| first.is_alphabetic() || first == '#'))
        {
            return None;
        }
        let column = |name: &str| {
            NAMES
                .iter()
                .find(|(known, _)| *known == name)
                .map_or(Column::Other, |(_, column)| *column)
        };
        let kinds: Vec<Column> = names.iter().map(|name| column(name)).take(COLUMNS_MAX).collect();
        let starts = matches!(kinds.first(), Some(Column::Epoch | Column::Step));
        let place = |wanted| kinds.iter().position(|kind| *kind == wanted).map(|at| at as u8);
        let columns = Self {
            epoch: place(Column::Epoch),
            step: place(Column::Step),
            loss: place(Column::Loss),
        };
        let is_table = starts
            && (columns.loss.is_some()
                || names[0] == "itn"
                || (columns.epoch.is_some() && columns.step.is_some()));
        is_table.then_some(columns)
    }

    /// The loss in the columns before a bar, as `147/299  2.3G  0.026  0.018  0  0.044  122  640: 100%|…`.
    pub(in super::super) fn loss_before_bar<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let end = memchr::memmem::find(line, b"%|")?;
        let cells = line[..end].split(u8::is_ascii_whitespace).filter(|cell| !cell.is_empty());
        let is_epoch = |cell: &&[u8]| cell[0].is_ascii_digit() && cell.contains(&b'/');
        cells.clone().next().filter(is_epoch)?;
        cells.clone().nth(self.loss?.into()).filter(|cell| is_number(cell))
    }

    /// What a row under the heading tells; `None` where the line is no row.
    pub(in super::super) fn row<'a>(&self, line: &'a [u8]) -> Option<Row<'a>> {
        let mut cells = [&b""[..]; COLUMNS_MAX];
        let mut count = 0;
        for cell in
            line.split(u8::is_ascii_whitespace).filter(|cell| !cell.is_empty()).take(COLUMNS_MAX)
        {
            cells[count] = cell;
            count += 1;
        }
        let cell = |place: Option<u8>| {
            place
                .and_then(|at| cells[..count].get(usize::from(at)).copied())
                .filter(|cell| is_number(cell))
        };
        let row = Row { epoch: cell(self.epoch), step: cell(self.step), loss: cell(self.loss) };
        let is_row = is_number(cells[0])
            && count > 1
            && row.epoch.is_some() == self.epoch.is_some()
            && row.step.is_some() == self.step.is_some()
            && row.loss.is_some() == self.loss.is_some();
        is_row.then_some(row)
    }
}

fn is_number(cell: &[u8]) -> bool {
    cell.first().is_some_and(u8::is_ascii_digit)
        && cell
            .iter()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'e' | b'-' | b'+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(heading: &str, line: &'a str) -> Option<[Option<&'a str>; 3]> {
        let columns = Columns::of_heading(heading.as_bytes())?;
        let row = columns.row(line.as_bytes())?;
        let text = |cell: Option<&'a [u8]>| cell.and_then(|cell| std::str::from_utf8(cell).ok());
        Some([text(row.epoch), text(row.step), text(row.loss)])
    }

    #[test]
    fn rows_are_read_by_the_names_above_them() {
        let spacy = "E     #        LOSS TOK2VEC   LOSS NER   ENTS_F   SCORE ";
        assert_eq!(
            row(spacy, "  0     1200         323.35    8976.15    69.77     0.70"),
            Some([Some("0"), Some("1200"), None])
        );
        let fastai = "epoch     train_loss  valid_loss  accuracy  time";
        assert_eq!(
            row(fastai, "3         3.190155    3.420320    0.388504  00:12"),
            Some([Some("3"), None, Some("3.190155")])
        );
        let notebook = "Step\tTraining Loss\tValidation Loss\tWer";
        assert_eq!(
            row(notebook, "1000\t0.077900\t0.298412\t34.118213"),
            Some([None, Some("1000"), Some("0.077900")])
        );
        let yolo =
            "     Epoch   gpu_mem       box       obj       cls     total    labels  img_size";
        let columns = Columns::of_heading(yolo.as_bytes()).expect("a heading");
        let bar = b"   147/299      2.3G   0.02617   0.01851         0   0.04468        22       640: 100%|##| 38/38 [00:09<00:00]";
        assert_eq!(columns.loss_before_bar(bar), Some(&b"0.04468"[..]));
        assert_eq!(
            columns.loss_before_bar(
                b"     Class   Images   Labels  P  R  mAP@.5: 14%|#| 1/7 [00:00<00:00]"
            ),
            None
        );
        assert_eq!(row(fastai, "Better model found at epoch 3"), None);
        assert_eq!(row("Epoch gpu_mem box obj cls", "3/49 11.9G 0.02"), None);
    }
}
