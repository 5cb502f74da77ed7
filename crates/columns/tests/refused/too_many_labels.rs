use annals_columns::Schema;

#[derive(Schema)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Request {
    #[label]
    l0: String,
    #[label]
    l1: String,
    #[label]
    l2: String,
    #[label]
    l3: String,
    #[label]
    l4: String,
    #[label]
    l5: String,
    #[label]
    l6: String,
    #[label]
    l7: String,
    #[label]
    l8: String,
    #[label]
    l9: String,
    #[label]
    l10: String,
    #[label]
    l11: String,
    #[label]
    l12: String,
    #[label]
    l13: String,
    #[label]
    l14: String,
    #[label]
    l15: String,
    #[label]
    l16: String,
    #[label]
    l17: String,
    #[label]
    l18: String,
    #[label]
    l19: String,
    #[label]
    l20: String,
    #[label]
    l21: String,
    #[label]
    l22: String,
    #[label]
    l23: String,
    #[label]
    l24: String,
    #[label]
    l25: String,
    #[label]
    l26: String,
    #[label]
    l27: String,
    #[label]
    l28: String,
    #[label]
    l29: String,
    #[label]
    l30: String,
    #[label]
    l31: String,
    #[label]
    l32: String,
    #[label]
    l33: String,
    #[label]
    l34: String,
    #[label]
    l35: String,
    #[label]
    l36: String,
    #[label]
    l37: String,
    #[label]
    l38: String,
    #[label]
    l39: String,
    #[label]
    l40: String,
    #[label]
    l41: String,
    #[label]
    l42: String,
    #[label]
    l43: String,
    #[label]
    l44: String,
    #[label]
    l45: String,
    #[label]
    l46: String,
    #[label]
    l47: String,
    #[label]
    l48: String,
    #[label]
    l49: String,
    #[label]
    l50: String,
    #[label]
    l51: String,
    #[label]
    l52: String,
    #[label]
    l53: String,
    #[label]
    l54: String,
    #[label]
    l55: String,
    #[label]
    l56: String,
    #[label]
    l57: String,
    #[label]
    l58: String,
    #[label]
    l59: String,
    #[label]
    l60: String,
    #[label]
    l61: String,
    #[label]
    l62: String,
    #[label]
    l63: String,
    #[label]
    l64: String,
}

fn main() {}
