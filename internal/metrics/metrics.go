package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readTimeout is how long the database has to answer a scrape.
const readTimeout = 5 * time.Second

// Metrics counts requests and jobs. Any number of goroutines may use it at the same time.
type Metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.HistogramVec
	jobs       *prometheus.HistogramVec
	statements *prometheus.HistogramVec
	refused    *prometheus.CounterVec
	signIns    *prometheus.CounterVec
	swept      *prometheus.CounterVec
}

// New returns Metrics of a program of a version and a commit.
func New(version, commit string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "invited_http_request_seconds", Help: "Time to answer requests, by operation of the contract or by page, and status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		}, []string{"operation", "status"}),
		jobs: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "invited_job_seconds",
			Help:    "Time of attempts at jobs, by kind and result: completed, failed (tried again), postponed or canceled (given up).",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"kind", "result"}),
		statements: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "invited_database_statement_seconds",
			Help:    "Time of statements on the database until their last row was read, by pool of connections and operation.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"pool", "operation"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "invited_limit_refusals_total", Help: "What was refused because it is beyond a limit, by limit.",
		}, []string{"limit"}),
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "invited_sign_ins_total", Help: "Tries to sign in, by way and result: signed_in, refused, throttled or failed.",
		}, []string{"way", "result"}),
		swept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "invited_sweep_invitations_total", Help: "Invitations that sweeps have expired, reminded of, started or removed.",
		}, []string{"done"}),
	}
	for _, done := range []string{"expired", "reminded", "started", "removed"} {
		m.swept.WithLabelValues(done) // 0 until there is one, so that the first one is an increase
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "invited_build_info", Help: "1, with the version and the commit."},
		[]string{"version", "commit"})
	build.WithLabelValues(version, commit).Set(1)
	m.registry.MustRegister(m.requests, m.jobs, m.statements, m.refused, m.signIns, m.swept, build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Request counts a request to an operation of the contract, or a page, that was answered with a status.
func (m *Metrics) Request(operation string, status int, took time.Duration) {
	m.requests.WithLabelValues(operation, strconv.Itoa(status)).Observe(took.Seconds())
}

// Job counts an attempt at a job.
func (m *Metrics) Job(kind, result string, took time.Duration) {
	m.jobs.WithLabelValues(kind, result).Observe(took.Seconds())
}

// Statement counts a statement on the database.
func (m *Metrics) Statement(pool, operation string, took time.Duration) {
	m.statements.WithLabelValues(pool, operation).Observe(took.Seconds())
}

// Refused counts something that a limit has refused.
func (m *Metrics) Refused(limit string) { m.refused.WithLabelValues(limit).Inc() }

// SignIn counts a try to sign in.
func (m *Metrics) SignIn(way, result string) { m.signIns.WithLabelValues(way, result).Inc() }

// Swept counts what a sweep has done to invitations.
func (m *Metrics) Swept(done string, invitations int) {
	m.swept.WithLabelValues(done).Add(float64(invitations))
}

// Handler returns a handler that answers every request with all metrics. Metrics that can't be collected are left out, and an
// error is logged.
func (m *Metrics) Handler(logger *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: 2, Timeout: 2 * readTimeout,
	})
}

// Samples are the numbers of a database, and of its use by this process, at a scrape.
type Samples struct {
	Pools       map[string]Pool  // of connections, by what they are for
	Standby     map[string]int64 // lists that could be read from the standby, by result; nil: there is no standby
	Jobs        []Jobs           // those that are not done
	Invitations map[string]int64 // by state
	Held        bool             // deliveries are held
	LastSweep   time.Time        // when the last sweep ended that did all its work; the zero time: none is known
}

// Jobs are the jobs of a kind in a state.
type Jobs struct {
	Kind, State string
	Count       int64
	Overdue     time.Duration // for how long the oldest of them could have run; at most 0: none could yet
}

// A Pool says how a pool of connections is used.
type Pool struct {
	InUse, Max int
	Waits      int64         // how often nothing was free
	Waited     time.Duration // in all
}

// WatchDatabase shows a database. At each scrape, read is called, which returns what it can also with an error.
func (m *Metrics) WatchDatabase(read func(context.Context) (Samples, error)) {
	m.registry.MustRegister(database{read})
}

type database struct {
	read func(context.Context) (Samples, error)
}

var (
	up          = prometheus.NewDesc("invited_database_up", "Whether the database answered: 1 or 0.", nil, nil)
	queued      = prometheus.NewDesc("invited_queue_jobs", "Jobs of the database that are not done, by kind and state.", []string{"kind", "state"}, nil)
	oldestJob   = prometheus.NewDesc("invited_queue_oldest_seconds", "For how long the oldest job of a kind that waits could have run.", []string{"kind"}, nil)
	invitations = prometheus.NewDesc("invited_invitations", "Invitations of the database, by state.", []string{"state"}, nil)
	held        = prometheus.NewDesc("invited_deliveries_held", "Whether an operator holds deliveries: 1 or 0.", nil, nil)
	inUse       = prometheus.NewDesc("invited_pool_in_use", "Connections to the database that are in use, by pool.", []string{"pool"}, nil)
	size        = prometheus.NewDesc("invited_pool_max", "Connections to the database that may be open, by pool.", []string{"pool"}, nil)
	lastSweep   = prometheus.NewDesc("invited_sweep_last_success_timestamp_seconds", "When the last sweep on the database ended that did all its work; 0: none is known.", nil, nil)
	waits       = prometheus.NewDesc("invited_pool_waits_total", "How often a pool had no free connection.", []string{"pool"}, nil)
	standby     = prometheus.NewDesc("invited_standby_lists_total", "Lists for which the standby was asked, by result: answered, behind, failed.", []string{"result"}, nil)
	waited      = prometheus.NewDesc("invited_pool_wait_seconds_total", "How long was waited for a connection of a pool.", []string{"pool"}, nil)
)

// Describe implements prometheus.Collector.
func (database) Describe(to chan<- *prometheus.Desc) {
	for _, each := range []*prometheus.Desc{up, queued, oldestJob, invitations, held, inUse, size, waits, waited, lastSweep, standby} {
		to <- each
	}
}

// Collect implements prometheus.Collector.
func (d database) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	found, err := d.read(ctx)
	isUp, isHeld := 1.0, 0.0
	if found.Held {
		isHeld = 1
	}
	if err != nil {
		isUp = 0
		to <- prometheus.NewInvalidMetric(queued, err)
	} else {
		to <- prometheus.MustNewConstMetric(held, prometheus.GaugeValue, isHeld)
	}
	to <- prometheus.MustNewConstMetric(up, prometheus.GaugeValue, isUp)
	oldest := map[string]time.Duration{}
	for _, each := range found.Jobs {
		to <- prometheus.MustNewConstMetric(queued, prometheus.GaugeValue, float64(each.Count), each.Kind, each.State)
		oldest[each.Kind] = max(oldest[each.Kind], each.Overdue)
	}
	for kind, overdue := range oldest {
		to <- prometheus.MustNewConstMetric(oldestJob, prometheus.GaugeValue, overdue.Seconds(), kind)
	}
	for state, count := range found.Invitations {
		to <- prometheus.MustNewConstMetric(invitations, prometheus.GaugeValue, float64(count), state)
	}
	if swept := found.LastSweep; err == nil {
		seconds := 0.0
		if !swept.IsZero() {
			seconds = float64(swept.UnixMilli()) / 1000
		}
		to <- prometheus.MustNewConstMetric(lastSweep, prometheus.GaugeValue, seconds)
	}
	for result, count := range found.Standby {
		to <- prometheus.MustNewConstMetric(standby, prometheus.CounterValue, float64(count), result)
	}
	for name, pool := range found.Pools {
		to <- prometheus.MustNewConstMetric(inUse, prometheus.GaugeValue, float64(pool.InUse), name)
		to <- prometheus.MustNewConstMetric(size, prometheus.GaugeValue, float64(pool.Max), name)
		to <- prometheus.MustNewConstMetric(waits, prometheus.CounterValue, float64(pool.Waits), name)
		to <- prometheus.MustNewConstMetric(waited, prometheus.CounterValue, pool.Waited.Seconds(), name)
	}
}
