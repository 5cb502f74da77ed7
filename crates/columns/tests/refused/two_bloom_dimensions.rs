use annals_columns::Schema;

#[derive(Schema)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Request {
    #[dim(bloom)]
    user: String,
    #[dim(rollup, bloom)]
    model: String,
}

fn main() {}
