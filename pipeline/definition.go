package pipeline

// Definition is a pipeline as its YAML file has it. Tags give the key, whether
// it must be there, and the description of the JSON schema.
type Definition struct {
	Version    int         `yaml:"version" need:"yes" enum:"1" desc:"version of the definition language"`
	Name       string      `yaml:"name" need:"yes" desc:"name of the pipeline: lower-case letters, digits and hyphens"`
	Source     Source      `yaml:"source" need:"yes" desc:"where events come from and what is taken from them"`
	Grid       Grid        `yaml:"grid" need:"yes" desc:"cells and rings"`
	Windows    Windows     `yaml:"windows" need:"yes" desc:"event-time windows"`
	Dimensions Later       `yaml:"dimensions"`
	Aggregates []Aggregate `yaml:"aggregates" need:"yes" desc:"what is computed of the events, at every ring and window"`
	Backoff    []Backoff   `yaml:"backoff" desc:"aggregates of the finest of the grid's resolution and its parents that has enough events"`
	Features   []Feature   `yaml:"features" desc:"expressions over columns of the same row"`
	Models     []Model     `yaml:"models" desc:"online models"`
	Sinks      Sinks       `yaml:"sinks" desc:"where rows go"`
}

// Later is a list of what the language has room for and this version cannot do:
// it may be there, empty. The schema leaves it out.
type Later struct{}

// Source is the definition's source.
type Source struct {
	Format          string    `yaml:"format" need:"yes" enum:"csv,json" desc:"how a record is written"`
	Topic           string    `yaml:"topic" desc:"the topic, where the source is Kafka"`
	EventTime       EventTime `yaml:"event_time" need:"yes" desc:"when an event happened"`
	Location        Location  `yaml:"location" need:"yes" desc:"where an event happened: lat and lng, or cell"`
	Fields          Fields    `yaml:"fields" desc:"the fields that are taken, with their types"`
	Filter          string    `yaml:"filter" desc:"a condition over the fields; events that do not pass are counted and dropped"`
	OutOfOrder      Duration  `yaml:"out_of_order" desc:"how much an event may be behind the newest of its partition; default 0s"`
	AllowedLateness Duration  `yaml:"allowed_lateness" desc:"for how long closed windows may still change; default 0s"`
	IdleAfter       Duration  `yaml:"idle_after" desc:"a partition with nothing to read for so long holds up the others no longer; default 1m"`
	MaxAhead        Duration  `yaml:"max_ahead" desc:"how far an event time may be ahead of its record's timestamp; default 1h"`
	NotBefore       string    `yaml:"not_before" desc:"earliest event time that is accepted, RFC 3339; default 2000-01-01T00:00:00Z"`
	Dedup           *Dedup    `yaml:"dedup" desc:"of the events of one key in one aligned span the earliest counts"`
}

// EventTime is the field that says when an event happened.
type EventTime struct {
	Field string `yaml:"field" need:"yes" desc:"the field"`
	Unit  string `yaml:"unit" need:"yes" enum:"s,ms,us,rfc3339" desc:"how it is written: seconds, milliseconds or microseconds of unix time, or RFC 3339"`
}

// Location is the field or the fields that say where.
type Location struct {
	Lat  string `yaml:"lat" desc:"field with the latitude in degrees"`
	Lng  string `yaml:"lng" desc:"field with the longitude in degrees"`
	Cell string `yaml:"cell" desc:"field with an H3 cell, as text or integer, of the pipeline's resolution or finer"`
}

// Dedup is the definition's dedup.
type Dedup struct {
	By     []string `yaml:"by" need:"yes" desc:"the fields of the key"`
	Within Duration `yaml:"within" need:"yes" desc:"length of the aligned spans, a whole number of panes"`
}

// Grid is the definition's grid.
type Grid struct {
	Resolution int      `yaml:"resolution" need:"yes" desc:"H3 resolution of the cells, 0 to 15"`
	Rings      []int    `yaml:"rings" desc:"grid distances within which cells are summed, ascending; default [0]"`
	Parents    []int    `yaml:"parents" desc:"coarser resolutions with the same columns at ring 0, not coarser than the territory"`
	Emit       string   `yaml:"emit" enum:"neighborhood,cell" desc:"rows for all cells with an event within the widest ring and window, or for cells with an event of their own; default neighborhood"`
	Regions    []Region `yaml:"regions" desc:"territories that are joined into one"`
}

// Region joins territories.
type Region struct {
	Name  string   `yaml:"name" need:"yes" desc:"name of the region"`
	Cells []string `yaml:"cells" need:"yes" desc:"its members: H3 cells six resolutions coarser than the grid's, or coarser still"`
}

// Windows is the definition's windows.
type Windows struct {
	Pane  Duration   `yaml:"pane" desc:"the smallest slice of time that is stored; default 1m"`
	Sizes []Duration `yaml:"sizes" need:"yes" desc:"lengths of the windows, each a whole number of panes, ascending"`
}

// Aggregate is one of the definition's aggregates.
type Aggregate struct {
	Name  string `yaml:"name" need:"yes" desc:"first part of its columns' names"`
	Op    string `yaml:"op" need:"yes" enum:"count,sum,mean,min,max" desc:"what is computed"`
	Of    string `yaml:"of" desc:"the field; none for count"`
	Where string `yaml:"where" desc:"a condition over the fields; only events that pass count"`
}

// Backoff is one of the definition's backoffs.
type Backoff struct {
	Name    string `yaml:"name" need:"yes" desc:"first part of its columns' names"`
	Of      string `yaml:"of" need:"yes" desc:"the aggregate"`
	AtLeast int    `yaml:"at_least" need:"yes" desc:"how many events that the aggregate counts a resolution must have in the window, 1 or more"`
}

// Feature is one of the definition's features.
type Feature struct {
	Name string `yaml:"name" need:"yes" desc:"name of its column"`
	Expr string `yaml:"expr" need:"yes" desc:"an expression over columns of aggregates and models and over features before it"`
}

// Model is one of the definition's models.
type Model struct {
	Name     string `yaml:"name" need:"yes" desc:"first part of its columns' names"`
	Kind     string `yaml:"kind" need:"yes" enum:"demand" desc:"what kind of model"`
	Target   string `yaml:"target" need:"yes" desc:"the column that it forecasts: a count at ring 0"`
	TimeZone string `yaml:"time_zone" desc:"IANA name of the zone whose days and weeks it learns; default UTC"`
	Parent   *int   `yaml:"parent" desc:"resolution of its parents; default: the grid's less 2"`
}

// Sinks is the definition's sinks.
type Sinks struct {
	Redis *RedisSink `yaml:"redis" desc:"the newest row of each entity in Redis"`
	Feed  *FeedSink  `yaml:"feed" desc:"all rows in a Kafka topic"`
}

// RedisSink has no settings of its own.
type RedisSink struct{}

// FeedSink is the feed.
type FeedSink struct {
	Topic  string `yaml:"topic" need:"yes" desc:"the topic; hextide makes it where it does not exist"`
	Format string `yaml:"format" enum:"protobuf,json" desc:"how records are written; default protobuf"`
}
