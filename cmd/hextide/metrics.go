package main

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/hextide/hextide/models"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics serves the run's figures to Prometheus.
func (a *assembly) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{a}, a.parts)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// collector reads all figures at once, when they are asked for.
type collector struct{ run *assembly }

// Describe sends nothing: the collector is unchecked, its metrics depend on what runs.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// figure sends one metric.
type figure func(kind prometheus.ValueType, name, help string, value float64, labels ...string)

// Collect sends the figures of the moment. Labels come as pairs.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	send := func(kind prometheus.ValueType, name, help string, value float64, labels ...string) {
		var keys, values []string
		for i := 0; i < len(labels); i += 2 {
			keys, values = append(keys, labels[i]), append(values, labels[i+1])
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("hextide_"+name, help, keys, nil), kind, value, values...)
	}
	s := c.run.runner.Stats()
	events(send, s)
	frontiers(send, s)
	spread(send, s)
	checkpoint(send, s.Checkpoint)
	memoryUse(send, s.Memory)
	scores(send, c.run)
	transactions(send, c.run.exact)
	if growing, ok := c.run.source.(interface{ NewPartitions() int }); ok {
		send(prometheus.GaugeValue, "new_partitions", "Partitions that the source has got since this process began: a restart reads them.", float64(growing.NewPartitions()))
	}
	for _, i := range c.run.runner.Incomplete() {
		send(prometheus.GaugeValue, "column_incomplete", "1 while the newest final rows of a column that was added lack what came before it.", 1, "column", i.Column)
		send(prometheus.GaugeValue, "column_incomplete_until_seconds", "Window end from which on a column that was added is complete, seconds of unix time.", float64(i.Until)/1e6, "column", i.Column)
	}
	cells, bytes := c.run.store.Size()
	send(prometheus.GaugeValue, "store_cells", "Cells with a row in the serving store.", float64(cells))
	send(prometheus.GaugeValue, "store_bytes", "Memory of the serving store's rows and their index.", float64(bytes))
	send(prometheus.GaugeValue, "epochs_damaged", "Epochs of the state that were damaged when this process started, which went back behind them.", float64(c.run.state.Damaged()))
	send(prometheus.GaugeValue, "rewinds", "Courses of events that were given up for an older epoch of the state.", float64(c.run.state.Rewinds()))
	store(send, c.run.state)
	if c.run.redis != nil {
		waiting, dropped, written := c.run.redis.Waiting()
		send(prometheus.GaugeValue, "redis_waiting", "Entities whose newest row Redis does not have yet.", float64(waiting))
		send(prometheus.CounterValue, "redis_dropped_total", "Rows given up because too many waited for Redis.", float64(dropped))
		send(prometheus.CounterValue, "redis_rows_total", "Rows written to Redis.", float64(written))
		send(prometheus.CounterValue, "redis_evicted_keys_total", "Keys that Redis has given up for lack of memory since the run began, whosever they were.", float64(c.run.redis.Evicted()))
		own, asked := c.run.redis.Refills()
		send(prometheus.CounterValue, "redis_refills_total", "Times that Redis was filled again from the serving store.", float64(own), "cause", "emptied")
		send(prometheus.CounterValue, "redis_refills_total", "Times that Redis was filled again from the serving store.", float64(asked), "cause", "command")
	}
}

// store sends what was asked of the bucket of a state, and of the copies beside it.
func store(send figure, s *claimedState) {
	if s.bucket != nil {
		calls(send, s.bucket.Usage())
	}
	if s.copies == nil {
		return
	}
	u := s.copies.Usage()
	send(prometheus.CounterValue, "state_local_hits_total", "Generations that were read or checked in their copies.", float64(u.Hits))
	send(prometheus.CounterValue, "state_local_misses_total", "Generations of which there was no whole copy.", float64(u.Misses))
	send(prometheus.CounterValue, "state_local_damaged_total", "Copies that were not as they were written.", float64(u.Damaged))
	send(prometheus.CounterValue, "state_local_errors_total", "Copies that could not be written or removed.", float64(u.Failed))
	send(prometheus.CounterValue, "state_local_mended_total", "Generations that the store of the state had lost or damaged, put back from their copies.", float64(u.Mended))
	send(prometheus.GaugeValue, "state_local_bytes", "Size of the copies.", float64(u.Bytes))
}

func calls(send figure, all []statebackend.Usage) {
	for _, u := range all {
		send(prometheus.CounterValue, "state_calls_total", "Calls of the store of the state.", float64(u.Calls), "operation", u.Operation)
		send(prometheus.CounterValue, "state_errors_total", "Calls of the store of the state that failed for good.", float64(u.Errors), "operation", u.Operation)
		send(prometheus.CounterValue, "state_retries_total", "Requests to the store of the state after a call's first.", float64(u.Retries), "operation", u.Operation)
		send(prometheus.CounterValue, "state_bytes_total", "Content that went to or came from the store of the state, that of failed requests too.", float64(u.Bytes), "operation", u.Operation)
	}
}

func events(send figure, s stream.Stats) {
	send(prometheus.CounterValue, "records_read_total", "Records read.", float64(s.Counts.Read))
	for reason, n := range s.Dead {
		if stream.Reason(reason) != stream.Accepted {
			send(prometheus.CounterValue, "dead_letters_total", "Records that could not become events.", float64(n), "reason", stream.Reason(reason).String())
		}
	}
	send(prometheus.CounterValue, "events_filtered_total", "Events that the source filter dropped.", float64(s.Counts.Filtered))
	send(prometheus.CounterValue, "events_late_total", "Events whose pane was complete when they were read.", float64(s.Counts.Late))
	send(prometheus.CounterValue, "events_duplicate_total", "Events that dedup dropped.", float64(s.Counts.Duplicates))
	send(prometheus.CounterValue, "events_aggregated_total", "Events that were aggregated.", float64(s.Counts.Aggregated))
	send(prometheus.CounterValue, "rows_total", "Rows emitted.", float64(s.Counts.Rows))
	send(prometheus.CounterValue, "overflows_total", "Values that are null because they do not fit their column.", float64(s.Counts.Overflows))
	send(prometheus.CounterValue, "partials_dropped_total", "Cells' partials that came behind the final frontier; above 0 is a defect.", float64(s.Beyond))
}

func frontiers(send figure, s stream.Stats) {
	send(prometheus.GaugeValue, "lag_seconds", "Event time by which the watermark is behind the newest partition.", lag(s).Seconds())
	if s.Provisional != stream.NoTime {
		send(prometheus.GaugeValue, "watermark_seconds", "Provisional frontier, seconds of unix time.", float64(s.Provisional)/1e6)
	}
	if s.Final != stream.NoTime {
		send(prometheus.GaugeValue, "final_seconds", "Final frontier, seconds of unix time.", float64(s.Final)/1e6)
	}
	for phase := stream.PhaseStarting; phase <= stream.PhaseEnded; phase++ {
		value := 0.0
		if s.Phase == phase {
			value = 1
		}
		send(prometheus.GaugeValue, "phase", "1 for what the run is doing.", value, "phase", phase.String())
	}
	for _, p := range s.Partitions {
		id := strconv.Itoa(int(p.ID))
		if p.Watermark != stream.NoTime {
			send(prometheus.GaugeValue, "partition_watermark_seconds", "Watermark of a source partition, seconds of unix time.", float64(p.Watermark)/1e6, "partition", id)
		}
		send(prometheus.GaugeValue, "partition_position", "Next position to read of a source partition.", float64(p.Position), "partition", id)
		send(prometheus.GaugeValue, "partition_idle", "1 where a partition has left the minimum.", truth(p.Idle), "partition", id)
		if p.Lag >= 0 {
			send(prometheus.GaugeValue, "partition_lag_records", "Records of a partition that are not read yet.", float64(p.Lag), "partition", id)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// spread sends where time goes.
func spread(send figure, s stream.Stats) {
	for _, p := range s.Partitions {
		task := "partition/" + strconv.Itoa(int(p.ID))
		send(prometheus.CounterValue, "busy_seconds_total", "Time at work.", p.Busy.Seconds(), "task", task)
		send(prometheus.CounterValue, "blocked_seconds_total", "Time held up by full channels.", p.Blocked.Seconds(), "task", task)
	}
	for i, w := range s.Workers {
		task := "worker/" + strconv.Itoa(i)
		send(prometheus.CounterValue, "busy_seconds_total", "Time at work.", w.Busy.Seconds(), "task", task)
		send(prometheus.CounterValue, "blocked_seconds_total", "Time held up by full channels.", w.Blocked.Seconds(), "task", task)
		send(prometheus.GaugeValue, "queue_messages", "Messages that wait.", float64(w.Queue), "task", task)
	}
	for _, d := range s.Sinks {
		task := "sink/" + d.Name
		send(prometheus.CounterValue, "busy_seconds_total", "Time at work.", d.Busy.Seconds(), "task", task)
		send(prometheus.GaugeValue, "queue_messages", "Messages that wait.", float64(d.Queue), "task", task)
		send(prometheus.CounterValue, "sink_rows_total", "Rows that a sink took.", float64(d.Rows), "sink", d.Name)
	}
}

// memoryUse sends what is used of a bound on memory, where there is one.
func memoryUse(send figure, m stream.MemoryStats) {
	if m.Budget == 0 {
		return
	}
	send(prometheus.GaugeValue, "memory_used_bytes", "Memory of panes and of dedup's winners.", float64(m.Used))
	send(prometheus.GaugeValue, "memory_budget_bytes", "Most that they may use: --memory without what the tables outside memory use themselves.", float64(m.Budget))
	send(prometheus.CounterValue, "memory_moved_out_total", "Panes and other pieces of state moved out of memory, since this process began.", float64(m.MovedOut))
	send(prometheus.CounterValue, "memory_read_back_total", "Pieces of state read back into memory, since this process began.", float64(m.ReadBack))
}

// modelScore is a model's score as the service tells it.
func modelScore(name string, s models.Score) *pb.ModelScore {
	score := &pb.ModelScore{Model: name, Forecasts: uint64(s.Model.N)}
	if s.Model.N == 0 {
		return score
	}
	score.Deviance, score.Mae, score.Bias, score.Coverage = s.Model.MeanDeviance(), s.Model.MeanAbsolute(), s.Model.MeanBias(), s.Coverage()
	seasonal := s.Week
	if seasonal.Baseline.N == 0 {
		seasonal = s.Day // while there is no week
	}
	if s.Last.Baseline.N > 0 {
		score.LastValueDeviance, score.LastValueMae = s.Last.Baseline.MeanDeviance(), s.Last.Baseline.MeanAbsolute()
	}
	if seasonal.Baseline.N > 0 {
		score.SeasonalDeviance, score.SeasonalMae = seasonal.Baseline.MeanDeviance(), seasonal.Baseline.MeanAbsolute()
	}
	return score
}

// scoresWithin is how long a busy pipeline may take to tell its scores.
const scoresWithin = 2 * time.Second

// scores are the scores of all models, in the definition's order.
func (a *assembly) scores() []models.Score {
	ctx, cancel := context.WithTimeout(context.Background(), scoresWithin)
	defer cancel()
	return a.runner.Scores(ctx)
}

// modelScores are the same as the service tells them.
func (a *assembly) modelScores() []*pb.ModelScore {
	var all []*pb.ModelScore
	for i, s := range a.scores() {
		all = append(all, modelScore(a.plan.Models[i].Name, s))
	}
	return all
}

func scores(send figure, a *assembly) {
	for i, s := range a.scores() {
		m := modelScore(a.plan.Models[i].Name, s)
		send(prometheus.CounterValue, "demand_steps_rejected_total", "Steps of a model's weights that were left out.", float64(s.StepsRejected), "model", m.Model)
		send(prometheus.CounterValue, "model_forecasts_total", "Forecasts that were judged.", float64(m.Forecasts), "model", m.Model)
		if m.Forecasts == 0 {
			continue
		}
		send(prometheus.GaugeValue, "model_bias", "Mean of forecast less count.", m.Bias, "model", m.Model)
		send(prometheus.GaugeValue, "model_coverage_ratio", "Share of counts within the tracked interval.", m.Coverage, "model", m.Model)
		for forecast, values := range map[string][2]float64{
			"model": {m.Deviance, m.Mae}, "last_value": {m.LastValueDeviance, m.LastValueMae}, "seasonal": {m.SeasonalDeviance, m.SeasonalMae},
		} {
			send(prometheus.GaugeValue, "model_deviance", "Mean Poisson deviance of one-step forecasts.", values[0], "model", m.Model, "forecast", forecast)
			send(prometheus.GaugeValue, "model_absolute_error", "Mean absolute error of one-step forecasts.", values[1], "model", m.Model, "forecast", forecast)
		}
	}
}
