<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Tests;

use PHPUnit\Framework\TestCase;
use PreferenceCenter\Client\ApiError;
use PreferenceCenter\Client\Client;
use PreferenceCenter\Client\Http\TransportError;
use PreferenceCenter\Client\PreferenceCenterError;
use PreferenceCenter\Client\Unavailable;

/** What the client does with every kind of answer, and without one. */
final class ClientTest extends TestCase
{
    private const ADA = 'ada@example.com';
    private const OPT_OUT = [
        'address' => self::ADA,
        'scope' => 'acme.offers',
        'via' => 'phone',
        'received_at' => '2026-11-24T09:00:00Z',
    ];
    private const PROBLEM = [
        'type' => 'https://preferences.example.com/problems/unknown-topic',
        'title' => 'The catalogue has no such topic',
        'status' => 422,
        'detail' => '/scope: the catalogue has no such topic',
        'errors' => [['pointer' => '/scope', 'code' => 'unknown-topic', 'detail' => 'no such topic']],
    ];

    private static function decides(): \Closure
    {
        return static fn (array $request) => Stub::json(200, ['as_of' => 'x', 'decisions' => array_map(
            static fn (string $each): array => ['allow' => str_starts_with($each, '1'), 'rule' => 'consented'],
            $request['body']['recipients'],
        )]);
    }

    public function testADecisionIsAskedForWithTheKeyInTheBodyAndNeverInTheUrl(): void
    {
        $stub = new Stub([self::decides()]);
        $decision = $stub->client()->decide('offers.weekly', '1@example.com');
        self::assertSame([true, 'consented'], [$decision->allow, $decision->rule]);
        [$request] = $stub->requests;
        self::assertSame('https://preferences.example.com/v1/decisions', $request['url']);
        self::assertSame('Bearer pc_shop_x', $request['headers']['Authorization']);
        self::assertArrayNotHasKey('Idempotency-Key', $request['headers']);
        self::assertSame('email', $request['body']['channel']);
    }

    public function testAListOfAnyLengthIsAskedForInRequestsOfTenThousandInItsOrder(): void
    {
        $stub = new Stub([self::decides()]);
        $people = array_map(static fn (int $at): string => "$at@example.com", range(0, 20_001));
        $decisions = $stub->client()->decideAll('offers.weekly', $people);
        $sizes = array_map(static fn (array $each): int => count($each['body']['recipients']), $stub->requests);
        self::assertSame([10_000, 10_000, 2], $sizes);
        $allowed = array_map(static fn ($decision): bool => $decision->allow, $decisions);
        self::assertSame(array_map(static fn (string $each): bool => str_starts_with($each, '1'), $people), $allowed);
        self::assertSame([], $stub->client()->decideAll('offers.weekly', []));
    }

    public function testWhatIsNoTextIsAskedForAsNoAddressAndSpoilsNoOther(): void
    {
        $stub = new Stub([self::decides()]);
        $stub->client()->decideAll('offers.weekly', ["a\xff@example.com", '1@example.com']);
        self::assertSame(['', '1@example.com'], $stub->requests[0]['body']['recipients']);
    }

    public function testADecisionWithAnotherShapeThanDescribedAllowsNothing(): void
    {
        $odd = [[], null, 1, ['decisions' => []], ['decisions' => [['allow' => 'yes']]], ['allow' => true]];
        foreach ($odd as $body) {
            $client = (new Stub([Stub::json(200, $body)]))->client();
            self::assertFalse($client->decide('offers.weekly', self::ADA)->allow);
        }
    }

    public function testAServiceThatIsDownIsLeftAloneForAWhileAlsoBetweenLists(): void
    {
        $stub = new Stub([Stub::json(503, self::PROBLEM)]);
        $client = $stub->client();
        $people = array_fill(0, 30_000, self::ADA);
        $decisions = $client->decideAll('offers.weekly', $people);
        self::assertCount(30_000, $decisions);
        self::assertCount(3, $stub->requests);
        self::assertFalse($client->decide('offers.weekly', self::ADA)->allow);
        self::assertCount(3, $stub->requests);
        $stub->now += 11;
        $client->decide('offers.weekly', self::ADA);
        self::assertCount(6, $stub->requests);
    }

    public function testRetryAfterIsWaitedForAndTheRepeatedWriteHasTheSameKey(): void
    {
        $recorded = ['recorded' => true, 'event' => 'e'];
        $stub = new Stub([Stub::json(503, self::PROBLEM, '7'), Stub::json(200, $recorded)]);
        self::assertSame($recorded, $stub->client()->optOut(self::OPT_OUT));
        self::assertSame([7.0], $stub->waits);
        $keys = array_map(static fn (array $each): string => $each['headers']['Idempotency-Key'], $stub->requests);
        self::assertMatchesRegularExpression('/^[0-9a-f]{32}$/', $keys[0]);
        self::assertSame([$keys[0], $keys[0]], $keys);
        self::assertSame(self::OPT_OUT, $stub->requests[1]['body']);
    }

    public function testEveryWriteHasAKeyOfItsOwnOrTheOneThatWasGiven(): void
    {
        $stub = new Stub([Stub::json(200, [['recorded' => true]])]);
        $client = $stub->client();
        $client->optOut([self::OPT_OUT]);
        $client->optOut([self::OPT_OUT]);
        $client->optOut([self::OPT_OUT], 'ticket-4711');
        $keys = array_map(static fn (array $each): string => $each['headers']['Idempotency-Key'], $stub->requests);
        self::assertCount(3, array_unique($keys));
        self::assertSame('ticket-4711', $keys[2]);
    }

    public function testAWriteThatWasNotAnsweredIsAnErrorSinceNothingSaysThatItIsRecorded(): void
    {
        $stub = new Stub([Stub::json(503, self::PROBLEM, '2')]);
        try {
            $stub->client()->optOut(self::OPT_OUT);
            self::fail('no error');
        } catch (Unavailable $error) {
            self::assertInstanceOf(PreferenceCenterError::class, $error);
            self::assertSame([503, 2.0], [$error->status, $error->retryAfter]);
            self::assertSame('POST /v1/opt-outs was answered with 503', $error->getMessage());
        }
        self::assertCount(3, $stub->requests);
        $this->expectException(Unavailable::class);
        (new Stub([Stub::json(200, [])]))->client()->optOut([self::OPT_OUT]);
    }

    public function testARefusalIsNotRepeatedAndSaysWhatToFix(): void
    {
        $stub = new Stub([Stub::json(422, self::PROBLEM)]);
        try {
            $stub->client()->optOut(self::OPT_OUT);
            self::fail('no error');
        } catch (ApiError $error) {
            self::assertSame([422, 'unknown-topic'], [$error->status, $error->type]);
            self::assertSame(self::PROBLEM['errors'], $error->errors);
            self::assertStringNotContainsString(self::ADA, (string) $error);
        }
        self::assertCount(1, $stub->requests);
    }

    public function testACallEndsWithinItsLimitHoweverSlowEachAttemptIs(): void
    {
        $stub = new Stub([new TransportError('timed out')]);
        $start = $stub->now;
        $stub->client()->decide('offers.weekly', self::ADA);
        self::assertLessThanOrEqual(5, $stub->now - $start);
        self::assertCount(3, $stub->requests);
    }

    public function testNoChoiceOfTopicsIsAnObject(): void
    {
        $stub = new Stub([Stub::json(200, ['events' => []])]);
        $stub->client()->updatePreferences(['address' => self::ADA, 'topics' => []]);
        self::assertSame('{"address":"ada@example.com","topics":{}}', $stub->requests[0]['raw']);
        self::assertSame('PUT', $stub->requests[0]['method']);
    }

    public function testTheFeedIsReadPageByPage(): void
    {
        $stub = new Stub([
            Stub::json(200, ['changes' => [['id' => '1']], 'next' => 'a.1', 'more' => true]),
            Stub::json(200, ['changes' => [], 'next' => 'a.2', 'more' => false]),
        ]);
        $pages = iterator_to_array($stub->client()->changes(limit: 5), false);
        self::assertSame(['a.1', 'a.2'], array_column($pages, 'next'));
        $paths = array_map(static fn (array $each): string => strrchr($each['url'], '/'), $stub->requests);
        self::assertSame(['/changes?limit=5', '/changes?limit=5&after=a.1'], $paths);
    }

    public function testAClientWithoutAUrlOrAKeyIsRefusedAndShowsNoKey(): void
    {
        foreach ([['preferences.example.com', 'k'], ['ftp://example.com', 'k'], ['https://example.com', '']] as $pair) {
            try {
                new Client(...$pair);
                self::fail('not refused');
            } catch (\InvalidArgumentException) {
                self::addToAssertionCount(1);
            }
        }
        $client = new Client('https://example.com', 'pc_shop_x');
        self::assertStringNotContainsString('pc_shop_x', print_r($client, true));
    }
}
