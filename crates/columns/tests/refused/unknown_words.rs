use annals_columns::Schema;

#[derive(Schema)]
#[schema(schema_id = 1, crate = annals_columns, table = "requests")]
struct Request {
    #[ts]
    at: i64,
}

#[derive(Schema)]
#[schema(schema_id = 2, crate = annals_columns)]
struct Answer {
    #[dim(indexed)]
    user: String,
}

#[derive(Schema)]
#[schema(schema_id = 3, crate = annals_columns)]
struct Wait {
    #[latency(total)]
    ms: u32,
}

#[derive(Schema)]
#[schema(schema_id = 4, crate = annals_columns)]
struct Label {
    #[label(long)]
    text: String,
}

fn main() {}
