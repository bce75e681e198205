//! Turns a kernel into a SQL function: the one place that knows nulls, string widths, slices,
//! dictionaries, scalars and the number types that DataFusion passes.
//!
//! A kernel sees one row of plain values and nothing else. Results are immutable functions of
//! their arguments, which lets the optimizer fold constants and share equal calls.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, LargeStringArray, ListArray,
    StringArray, StringViewArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, UInt64Type};
use datafusion::common::{DataFusionError, Result as PlanResult, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature as Accepts,
    Volatility,
};

use super::failure;
use crate::error::{Error, Result};
use crate::function::{Arg, Columns, Function, Kernel, Row, Signature, Type, Value};

/// The SQL function of a kernel.
pub(crate) fn scalar_function(kernel: Arc<dyn Kernel>) -> ScalarUDF {
    ScalarUDF::new_from_impl(Adapter {
        kernel,
        accepts: Accepts::user_defined(Volatility::Immutable),
    })
}

/// The SQL function of a constant of the registry.
pub(crate) fn constant_function(function: &'static Function) -> ScalarUDF {
    scalar_function(Arc::new(Constant(function)))
}

/// How a call is written, for errors and listings: `name(a, b [, c])`.
///
/// ```
/// use hexapla::function::{Arg, Family, Signature, Type};
/// let signature = Signature {
///     name: "words",
///     family: Family::Text,
///     args: const { &[Arg::text("text"), Arg::optional("lang", Type::Text, "any script")] },
///     returns: || arrow::datatypes::DataType::Utf8,
///     doc: "",
///     examples: &[],
///     version: 1,
/// };
/// assert_eq!(hexapla::sql::usage(&signature), "words(text [, lang])");
/// ```
pub fn usage(signature: &Signature) -> String {
    let mut text = format!("{}(", signature.name);
    for (i, arg) in signature.args.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        match arg.default {
            None => text += &format!("{comma}{}", arg.name),
            Some(_) if i == 0 => text += &format!("[{}]", arg.name),
            Some(_) => text += &format!(" [, {}]", arg.name),
        }
    }
    text + ")"
}

/// Whether an expression is a call of a kernel.
pub(crate) fn is_kernel_call(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => is_kernel(&call.func),
        _ => false,
    }
}

/// Whether a function is a kernel.
pub(crate) fn is_kernel(function: &ScalarUDF) -> bool {
    (function.inner().as_ref() as &dyn std::any::Any).is::<Adapter>()
}

struct Constant(&'static Function);

impl Kernel for Constant {
    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn call(&self, args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
        self.0.call(args, out)
    }
}

struct Adapter {
    kernel: Arc<dyn Kernel>,
    accepts: Accepts,
}

impl std::fmt::Debug for Adapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kernel.signature().name)
    }
}

impl PartialEq for Adapter {
    fn eq(&self, other: &Self) -> bool {
        self.kernel.signature().name == other.kernel.signature().name
            && self.kernel.fingerprint() == other.kernel.fingerprint()
    }
}

impl Eq for Adapter {}

impl Hash for Adapter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kernel.signature().name.hash(state);
        self.kernel.fingerprint().hash(state);
    }
}

impl ScalarUDFImpl for Adapter {
    fn name(&self) -> &str {
        self.kernel.signature().name
    }

    fn signature(&self) -> &Accepts {
        &self.accepts
    }

    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok((self.kernel.signature().returns)())
    }

    fn coerce_types(&self, found: &[DataType]) -> PlanResult<Vec<DataType>> {
        coerce(self.kernel.signature(), found).map_err(failure::coercion)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let constant = call.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { call.number_rows };
        let column = evaluate(self.kernel.as_ref(), &call.args, rows)
            .map_err(|e| DataFusionError::External(Box::new(e)))?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?));
        }
        Ok(ColumnarValue::Array(column))
    }
}

/// The types that the arguments of a call are cast to before the kernel's column is computed.
fn coerce(signature: &Signature, found: &[DataType]) -> Result<Vec<DataType>> {
    let least = signature.args.iter().filter(|a| a.default.is_none()).count();
    let most = signature.args.len();
    if !(least <= found.len() && found.len() <= most) {
        let takes = if least == most { format!("{most}") } else { format!("{least} to {most}") };
        let noun = if most == 1 { "argument" } else { "arguments" };
        return Err(Error::usage(format!(
            "function `{}` takes {takes} {noun}, not {}",
            signature.name,
            found.len()
        ))
        .hint_with(format!("write `{}`", usage(signature))));
    }
    let pairs = signature.args.iter().zip(found);
    pairs.map(|(arg, found)| coerce_one(signature, arg, found)).collect()
}

fn coerce_one(signature: &Signature, arg: &Arg, found: &DataType) -> Result<DataType> {
    use DataType as D;
    let ty = match (arg.ty, found) {
        (Type::Text, D::Utf8 | D::LargeUtf8 | D::Utf8View) => found.clone(),
        (Type::Text, D::Dictionary(_, v)) if v.is_string() => D::Utf8View,
        (Type::Text, D::Null) => D::Utf8View,
        (Type::Bool, D::Boolean | D::Null) => D::Boolean,
        (Type::Int, D::UInt64) => D::UInt64,
        (Type::Int, ty) if ty.is_integer() => D::Int64,
        (Type::Int, D::Null) => D::Int64,
        (Type::UInt, ty) if ty.is_unsigned_integer() => D::UInt64,
        (Type::UInt, ty) if ty.is_integer() => D::Int64,
        (Type::UInt, D::Null) => D::UInt64,
        (Type::Float, ty) if ty.is_numeric() => D::Float64,
        (Type::Float, D::Null) => D::Float64,
        (Type::UIntList, D::List(f) | D::LargeList(f) | D::FixedSizeList(f, _))
            if f.data_type().is_integer() || f.data_type().is_null() =>
        {
            uint_list()
        }
        (Type::UIntList, D::Null) => uint_list(),
        (wanted, found) => {
            return Err(Error::usage(format!(
                "function `{}`: argument `{}` must be {}; it is {found}",
                signature.name,
                arg.name,
                in_words(wanted),
            ))
            .hint_with(format!("write `{}`", usage(signature))));
        }
    };
    Ok(ty)
}

fn uint_list() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::UInt64, true)))
}

fn in_words(ty: Type) -> &'static str {
    match ty {
        Type::Bool => "true or false",
        Type::Int => "an integer",
        Type::UInt => "an unsigned integer",
        Type::Float => "a number",
        Type::Text => "text",
        Type::UIntList => "a list of unsigned integers",
    }
}

/// The result column of a kernel over arguments of `rows` rows; scalars stand for equal rows.
pub(crate) fn evaluate(
    kernel: &dyn Kernel,
    args: &[ColumnarValue],
    rows: usize,
) -> Result<ArrayRef> {
    let signature = kernel.signature();
    let named = |e: Error| e.within(format!("function `{}`", signature.name));
    let columns = args
        .iter()
        .zip(signature.args)
        .map(|(arg, wanted)| Column::new(arg, wanted).map_err(named))
        .collect::<Result<Vec<_>>>()?;
    let mut out = Columns::new(&(signature.returns)(), rows).map_err(named)?;
    let mut values = vec![Value::Null; signature.args.len()];
    for row in 0..rows {
        let mut null = false;
        for ((column, wanted), value) in columns.iter().zip(signature.args).zip(&mut values) {
            *value = column.value(row, wanted).map_err(named)?;
            null |= *value == Value::Null && wanted.default.is_none();
        }
        // Optional arguments that the call leaves out stay `Value::Null`.
        out.row(|out| {
            if null {
                out.null();
                Ok(())
            } else {
                kernel.call(&values, out)
            }
        })
        .map_err(named)?;
    }
    Ok(out.finish())
}

/// One argument, ready to be read row by row.
struct Column {
    cells: Cells,
    /// A scalar is a column of one row that is read again and again.
    constant: bool,
}

enum Cells {
    Null,
    Bool(BooleanArray),
    Int(Int64Array),
    UInt(UInt64Array),
    Float(Float64Array),
    Text(StringArray),
    LargeText(LargeStringArray),
    TextView(StringViewArray),
    UIntList { lists: ListArray, values: UInt64Array },
}

impl Column {
    fn new(arg: &ColumnarValue, wanted: &Arg) -> Result<Self> {
        let (array, constant) = match arg {
            ColumnarValue::Array(array) => (array.clone(), false),
            ColumnarValue::Scalar(value) => {
                let array = value.to_array();
                (array.map_err(|e| Error::internal(e.to_string()))?, true)
            }
        };
        Ok(Self { cells: Cells::new(&array, wanted)?, constant })
    }

    fn value(&self, row: usize, wanted: &Arg) -> Result<Value<'_>> {
        let row = if self.constant { 0 } else { row };
        macro_rules! cell {
            ($array:expr, $variant:ident) => {
                if $array.is_null(row) { Value::Null } else { Value::$variant($array.value(row)) }
            };
        }
        Ok(match &self.cells {
            Cells::Null => Value::Null,
            Cells::Bool(a) => cell!(a, Bool),
            Cells::Float(a) => cell!(a, Float),
            Cells::Text(a) => cell!(a, Text),
            Cells::LargeText(a) => cell!(a, Text),
            Cells::TextView(a) => cell!(a, Text),
            Cells::Int(a) if wanted.ty == Type::UInt => match a.is_valid(row).then(|| a.value(row))
            {
                None => Value::Null,
                Some(v) => Value::UInt(u64::try_from(v).map_err(|_| out_of_range(wanted, v))?),
            },
            Cells::Int(a) => cell!(a, Int),
            Cells::UInt(a) if wanted.ty == Type::Int => {
                match a.is_valid(row).then(|| a.value(row)) {
                    None => Value::Null,
                    Some(v) => Value::Int(i64::try_from(v).map_err(|_| out_of_range(wanted, v))?),
                }
            }
            Cells::UInt(a) => cell!(a, UInt),
            Cells::UIntList { lists, .. } if lists.is_null(row) => Value::Null,
            Cells::UIntList { lists, values } => {
                let offsets = lists.value_offsets();
                let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
                if values.null_count() > 0 && values.slice(start, end - start).null_count() > 0 {
                    return Err(Error::usage(format!(
                        "argument `{}` has a null inside of a list",
                        wanted.name
                    )));
                }
                Value::UIntList(&values.values()[start..end])
            }
        })
    }
}

fn out_of_range(wanted: &Arg, value: impl std::fmt::Display) -> Error {
    Error::usage(format!("argument `{}` is {value}; expected {}", wanted.name, in_words(wanted.ty)))
}

impl Cells {
    fn new(array: &ArrayRef, wanted: &Arg) -> Result<Self> {
        use DataType as D;
        Ok(match (wanted.ty, array.data_type()) {
            (_, D::Null) => Cells::Null,
            (Type::Bool, D::Boolean) => Cells::Bool(array.as_boolean().clone()),
            (Type::Text, D::Utf8) => Cells::Text(array.as_string().clone()),
            (Type::Text, D::LargeUtf8) => Cells::LargeText(array.as_string().clone()),
            (Type::Text, D::Utf8View) => Cells::TextView(array.as_string_view().clone()),
            (Type::Int | Type::UInt, D::UInt64) => Cells::UInt(array.as_primitive().clone()),
            (Type::Int | Type::UInt, D::Int64) => Cells::Int(array.as_primitive().clone()),
            (Type::Float, D::Float64) => Cells::Float(array.as_primitive().clone()),
            (Type::UIntList, D::List(f)) if f.data_type() == &D::UInt64 => {
                let lists = array.as_list::<i32>().clone();
                let values = lists.values().as_primitive::<UInt64Type>().clone();
                Cells::UIntList { lists, values }
            }
            // Types that `coerce` would have had cast: a caller without a planner.
            (Type::Bool, _) => Self::new(&cast(array, &D::Boolean)?, wanted)?,
            (Type::Text, _) => Self::new(&cast(array, &D::Utf8View)?, wanted)?,
            (Type::Int, _) => Self::new(&cast(array, &D::Int64)?, wanted)?,
            (Type::UInt, _) => Self::new(&cast(array, &D::UInt64)?, wanted)?,
            (Type::Float, _) => Self::new(&cast(array, &D::Float64)?, wanted)?,
            (Type::UIntList, _) => Self::new(&cast(array, &uint_list())?, wanted)?,
        })
    }
}

#[cfg(test)]
mod tests;
