<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Tests;

use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use PreferenceCenter\Client\ApiError;
use PreferenceCenter\Client\Client;
use PreferenceCenter\Client\Http\StreamTransport;
use PreferenceCenter\Client\Http\Transport;
use PreferenceCenter\Client\LinkMinter;

/**
 * The client against a running service.
 *
 * PREFERENCE_CENTER_URL, _KEY and _LINK_KEY name one whose catalogue has an opt-out topic
 * `acme.offers` with the type `offers.weekly`, an opt-in topic `acme.news` with
 * `newsletter.monthly`, and the service type `invoice`. `make test-clients` starts it.
 */
final class ServiceTest extends TestCase
{
    private const WHEN = '2026-11-24T08:00:00Z';
    private const EVIDENCE = [
        'source' => 'checkout',
        'wording' => 'Yes, write to me',
        'language' => 'en',
        'occurred_at' => self::WHEN,
    ];

    protected function setUp(): void
    {
        if (!getenv('PREFERENCE_CENTER_URL')) {
            self::markTestSkipped('PREFERENCE_CENTER_URL names no service');
        }
    }

    private static function client(string $key = 'PREFERENCE_CENTER_KEY', ?Transport $transport = null): Client
    {
        $url = (string) getenv('PREFERENCE_CENTER_URL');
        return new Client($url, (string) getenv($key) ?: $key, ['invoice'], transport: $transport);
    }

    /** Of somebody nobody else asks about. */
    private static function somebody(): string
    {
        return 'ada-' . bin2hex(random_bytes(8)) . '@example.com';
    }

    /** @return array<string, string> */
    private static function optOutOf(string $address): array
    {
        return ['address' => $address, 'scope' => 'acme.offers', 'via' => 'phone', 'received_at' => self::WHEN];
    }

    /** @return array<string, array{?Transport}> */
    public static function transports(): array
    {
        return ['the usual transport' => [null], 'streams' => [new StreamTransport()]];
    }

    #[DataProvider('transports')]
    public function testAnOptOutCountsForTheNextDecision(?Transport $transport): void
    {
        $client = self::client(transport: $transport);
        $address = self::somebody();
        self::assertSame('not_opted_out', $client->decide('offers.weekly', $address)->rule);
        $row = self::optOutOf($address);
        $recorded = $client->optOut($row, "of-$address");
        self::assertTrue($recorded['recorded']);
        $decision = $client->decide('offers.weekly', $address);
        self::assertSame([false, 'opted_out_of_topic'], [$decision->allow, $decision->rule]);
        self::assertSame([$recorded['event'], 'acme.offers'], [$decision->event, $decision->scope]);
        self::assertSame($recorded, $client->optOut($row, "of-$address"));
        self::assertSame([['recorded' => false]], $client->optOut([$row]));
        self::assertTrue($client->decide('invoice', $address)->allow);
    }

    public function testAListIsDecidedInItsOrder(): void
    {
        $client = self::client();
        [$ada, $eve] = [self::somebody(), self::somebody()];
        $client->optOut([self::optOutOf($eve)]);
        $decisions = $client->decideAll('offers.weekly', [$ada, $eve, 'not an address', "\xff@example.com"]);
        $rules = array_map(static fn ($decision): string => $decision->rule, $decisions);
        $invalid = 'unparseable_address';
        self::assertSame(['not_opted_out', 'opted_out_of_topic', $invalid, $invalid], $rules);
    }

    public function testAConsentIsRecordedAndLiftsOnlyAsTheOwnActOfThePerson(): void
    {
        $client = self::client();
        $address = self::somebody();
        self::assertSame('no_consent', $client->decide('newsletter.monthly', $address)->rule);
        $consent = ['address' => $address, 'topic' => 'acme.news', 'evidence' => self::EVIDENCE];
        self::assertTrue($client->consent($consent)['recorded']);
        self::assertSame('consented', $client->decide('newsletter.monthly', $address)->rule);
        $client->optOut(self::optOutOf($address));
        $later = ['occurred_at' => '2026-11-24T08:30:00Z'] + self::EVIDENCE;
        $lifted = $client->lift(['address' => $address, 'scope' => 'acme.offers', 'evidence' => $later]);
        self::assertSame([true, true], [$lifted['recorded'], $lifted['lifted']]);
    }

    public function testPreferencesAreReadAndChanged(): void
    {
        $client = self::client();
        $address = self::somebody();
        $shown = $client->preferences($address, language: 'en');
        self::assertSame('on', $shown['topics']['acme.offers']['state']);
        $update = ['address' => $address, 'rendered_at' => $shown['read_at'], 'evidence' => self::EVIDENCE];
        $changed = $client->updatePreferences($update + [
            'topics' => ['acme.offers' => ['state' => 'off']],
            'frequencies' => [],
        ]);
        self::assertSame('off', $changed['topics']['acme.offers']['state']);
        self::assertCount(1, $changed['events']);
        self::assertStringContainsString('/portal/', $client->portalLink(['address' => $address]));
    }

    public function testALinkMadeOfflineOptsOutByOneClick(): void
    {
        $address = self::somebody();
        $minter = new LinkMinter((string) getenv('PREFERENCE_CENTER_LINK_KEY'));
        $links = $minter->mint($address, 'acme.offers');
        $form = ['Content-Type' => 'application/x-www-form-urlencoded'];
        $transport = new StreamTransport();
        $body = $links->headers['List-Unsubscribe-Post'];
        self::assertSame(200, $transport->send('POST', $links->unsubscribeUrl, $form, $body, 30)->status);
        self::assertFalse(self::client()->decide('offers.weekly', $address)->allow);
        self::assertSame(200, $transport->send('GET', $links->preferencesUrl, [], '', 30)->status);
    }

    public function testLinksAreMadeByTheServiceToo(): void
    {
        $rows = [['address' => self::somebody(), 'scope' => 'acme.offers', 'message_id' => 'm-1']];
        self::assertStringStartsWith('<http', self::client()->links($rows)[0]['headers']['List-Unsubscribe']);
    }

    public function testTheFeedHasWhatWasRecorded(): void
    {
        $client = self::client();
        $event = $client->optOut(self::optOutOf(self::somebody()))['event'];
        $end = microtime(true) + 60; // any open transaction holds the feed back
        do {
            $seen = [];
            foreach ($client->changes(limit: 2) as $page) {
                array_push($seen, ...array_column($page['changes'], 'id'));
            }
            usleep(50_000);
        } while (!in_array($event, $seen, true) && microtime(true) < $end);
        self::assertContains($event, $seen);
    }

    public function testAnOperationWithoutAMethodOfItsOwnIsRequested(): void
    {
        $client = self::client();
        $address = self::somebody();
        $client->optOut(self::optOutOf($address));
        $found = $client->read('POST', '/v1/suppressions/query', ['address' => $address]);
        self::assertSame(['opted_out'], array_column($found['history'], 'kind'));
        $closed = $client->write('POST', '/v1/contacts/deactivate', ['address' => $address]);
        self::assertSame('deactivated', $closed['account']);
        self::assertSame('closed', $client->decide('invoice', $address)->rule);
    }

    public function testWhatTheServiceRefusesIsAnErrorThatSaysWhatToFix(): void
    {
        try {
            self::client()->optOut(['scope' => 'acme.ofers'] + self::optOutOf(self::somebody()));
            self::fail('no error');
        } catch (ApiError $error) {
            self::assertSame([422, 'unknown-topic'], [$error->status, $error->type]);
            self::assertSame('/scope', $error->errors[0]['pointer']);
        }
        foreach (['PREFERENCE_CENTER_LIMITED_KEY' => 403, 'pc_nobody_x' => 401] as $key => $status) {
            try {
                self::client($key)->decide('newsletter.monthly', self::somebody());
                self::fail('no error');
            } catch (ApiError $error) {
                self::assertSame($status, $error->status);
            }
        }
    }
}
