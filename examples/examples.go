// Package examples holds pipelines that run, and with them what the demo needs:
// one definition and two hours of events.
package examples

import _ "embed"

// Taxi is the demo's definition.
//
//go:embed sf-taxi.yaml
var Taxi []byte

// TaxiEvents are two hours of pings of San Francisco's taxis, CSV in gzip. Their
// source is named in data/README.md.
//
//go:embed data/sf-taxi-2008-05-21T00-02Z.csv.gz
var TaxiEvents []byte
