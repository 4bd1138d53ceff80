package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gomilter/gomilter/dns"
)

// addDNS adds what a cache of answers counts.
func addDNS(reg *prometheus.Registry, stats func() dns.CacheStats) {
	if stats == nil {
		stats = func() dns.CacheStats { return dns.CacheStats{} }
	}
	counter := func(name, help string, of func(dns.CacheStats) uint64) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, safely(func() uint64 { return of(stats()) })))
	}
	counter("gomilter_dns_hits_total", "Questions about names that were answered from memory.", func(s dns.CacheStats) uint64 { return s.Hits })
	counter("gomilter_dns_misses_total", "Questions about names that had to wait for a name server.", func(s dns.CacheStats) uint64 { return s.Misses })
	counter("gomilter_dns_queries_total", "Questions that name servers were asked.", func(s dns.CacheStats) uint64 { return s.Asked })
	counter("gomilter_dns_errors_total", "Questions to name servers that were not answered, or that they could not answer.", func(s dns.CacheStats) uint64 { return s.Errors })
	counter("gomilter_dns_dropped_total", "Answers that were forgotten before their time, for want of room.", func(s dns.CacheStats) uint64 { return s.Dropped })
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gomilter_dns_entries", Help: "Answers that are remembered."},
		safely(func() int64 { return int64(stats().Entries) })))
}
