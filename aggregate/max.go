package aggregate

// maxOp is the greatest value of a field, as minOp is the least.
var maxOp = op{needsField: true, check: ordered, build: extremumOf(Max)}
