//! Questions as SQL, for those who speak it.

#![cfg_attr(
    not(all(feature = "duckdb", feature = "sqlite")),
    allow(dead_code, reason = "a build may have no store that speaks SQL")
)]

use crate::question::{
    Answer, BUCKET_NS, FAILED, Only, Question, TOP, user_and_day, user_and_model_of,
};
use crate::wide::{DAY_NS, Digest, id, user};
use crate::{Error, Result};

/// The columns of the table, in the order of the events' fields: first the numbers, then the texts.
pub(super) const COLUMNS: &str = "ts BIGINT NOT NULL, cost BIGINT NOT NULL, input INTEGER NOT NULL, \
     output INTEGER NOT NULL, cached INTEGER NOT NULL, reasoning INTEGER NOT NULL, \
     latency INTEGER NOT NULL, first_ms INTEGER NOT NULL, status SMALLINT NOT NULL, \
     usr TEXT NOT NULL, team TEXT NOT NULL, model TEXT NOT NULL, region TEXT NOT NULL, \
     tier TEXT NOT NULL, client TEXT NOT NULL, path TEXT NOT NULL, session TEXT NOT NULL, id TEXT NOT NULL";

/// The question as SQL that both know; `None` if SQL has no words for it that both have.
pub(super) fn of(question: Question) -> Option<String> {
    Some(match question {
        Question::Sums(only) => format!(
            "SELECT count(*), sum(cost), sum(input), sum(output), sum(cached), sum(reasoning) \
             FROM events{}",
            condition(only)
        ),
        Question::Newest { count, user } => format!(
            "SELECT * FROM events{} ORDER BY ts DESC LIMIT {count}",
            condition(Only { user, between: None })
        ),
        Question::ByUserAndDay => {
            format!(
                "SELECT usr, ts / {DAY_NS} AS day, count(*), sum(cost) FROM events GROUP BY usr, day"
            )
        }
        Question::TopModels => format!(
            "SELECT model, sum(cost) AS total FROM events GROUP BY model ORDER BY total DESC LIMIT {TOP}"
        ),
        Question::Id(number) => format!("SELECT * FROM events WHERE id = '{}'", id(number)),
        Question::Failed => format!(
            "SELECT ts / {BUCKET_NS} AS bucket, count(*) FROM events WHERE status >= {FAILED} \
             GROUP BY bucket"
        ),
        Question::RollupOne { user: number, day } => format!(
            "SELECT events, cost FROM rollup WHERE day = {day} AND usr = '{}'",
            user(number)
        ),
        Question::RollupDay(day) => {
            format!("SELECT usr, model, events, cost FROM rollup_of_models WHERE day = {day}")
        }
        Question::Quantiles | Question::Sketch => return None,
    })
}

fn condition(only: Only) -> String {
    let user = only.user.map(|number| format!("usr = '{}'", user(number)));
    let between = only.between.map(|(from, to)| format!("ts >= {from} AND ts < {to}"));
    let all: Vec<_> = user.into_iter().chain(between).collect();
    if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
}

/// Tables of sums by day and user, and by day, user and model, made once all is loaded.
pub(super) const ROLLUP: &str = "CREATE TABLE rollup AS SELECT ts / 86400000000000 AS day, usr, \
     count(*) AS events, sum(cost) AS cost FROM events GROUP BY day, usr ORDER BY day, usr;
     CREATE UNIQUE INDEX rollup_by_day ON rollup (day, usr);
     CREATE TABLE rollup_of_models AS SELECT ts / 86400000000000 AS day, usr, model, \
     count(*) AS events, sum(cost) AS cost FROM events GROUP BY day, usr, model ORDER BY day, usr, model;
     CREATE UNIQUE INDEX rollup_of_models_by_day ON rollup_of_models (day, usr, model)";

/// A value of a row.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    /// A number.
    Number(i128),
    /// A text.
    Text(String),
}

impl Cell {
    fn number(&self) -> Result<i128> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Text(text) => Err(format!("`{text}` is no number").into()),
        }
    }

    fn text(&self) -> Result<&str> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Number(number) => Err(format!("{number} is no text").into()),
        }
    }
}

/// What rows come to as an answer to the question.
pub(super) fn answer(question: Question, rows: &[Vec<Cell>]) -> Result<Answer> {
    let numbers = |cells: &[Cell]| cells.iter().map(Cell::number).collect::<Result<Vec<_>>>();
    let lines = rows.iter().map(|row| -> Result<_> {
        Ok(match question {
            Question::Sums(_) | Question::RollupOne { .. } => (String::new(), numbers(row)?),
            Question::Newest { .. } | Question::Id(_) => {
                (String::new(), vec![digest(row)?.sum().into()])
            }
            Question::ByUserAndDay => {
                (user_and_day(row[0].text()?, row[1].number()?.try_into()?), numbers(&row[2..])?)
            }
            Question::RollupDay(_) => {
                (user_and_model_of(row[0].text()?, row[1].text()?), numbers(&row[2..])?)
            }
            Question::Failed => {
                ((row[0].number()? * i128::from(BUCKET_NS)).to_string(), numbers(&row[1..])?)
            }
            _ => (row[0].text()?.to_owned(), numbers(&row[1..])?),
        })
    });
    let answer = Answer(lines.collect::<Result<_, Error>>()?);
    let has_order = matches!(question, Question::Newest { .. } | Question::TopModels);
    Ok(if has_order { answer } else { answer.sorted() })
}

fn digest(row: &[Cell]) -> Result<Digest> {
    let mut digest = Digest::default();
    for cell in row {
        match cell {
            Cell::Number(number) => digest.number((*number).try_into()?),
            Cell::Text(text) => digest.text(text),
        }
    }
    Ok(digest)
}
