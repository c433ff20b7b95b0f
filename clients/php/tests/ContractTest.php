<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Tests;

use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use PreferenceCenter\Client\ApiError;
use PreferenceCenter\Client\Decision;
use PreferenceCenter\Client\Http\Response;
use PreferenceCenter\Client\Http\TransportError;
use PreferenceCenter\Client\Limits;
use PreferenceCenter\Client\LinkMinter;
use PreferenceCenter\Client\Retries;
use PreferenceCenter\Client\Unavailable;

/** The client against ../contract.json. */
final class ContractTest extends TestCase
{
    /** @return array<string, mixed> */
    private static function contract(): array
    {
        return json_decode((string) file_get_contents(__DIR__ . '/../../contract.json'), true);
    }

    /** @return array<array{array<string, mixed>}> */
    private static function rows(string $part, string $name): array
    {
        return array_map(static fn (array $row): array => [$row], self::contract()[$part][$name]);
    }

    private static function minter(string $key, int $at = 0): LinkMinter
    {
        return new LinkMinter(self::contract()['links']['keys'][$key], static fn (): int => $at);
    }

    /** @return array<array{array<string, mixed>}> */
    public static function made(): array
    {
        return self::rows('links', 'made');
    }

    /** @param array<string, mixed> $made */
    #[DataProvider('made')]
    public function testALinkIsMadeAsByTheFileForSenders(array $made): void
    {
        $minter = self::minter($made['key'], $made['at']);
        $links = $minter->mint($made['address'], $made['topic'], $made['message_id']);
        self::assertSame($made['unsubscribe_url'], $links->unsubscribeUrl);
        self::assertSame($made['preferences_url'], $links->preferencesUrl);
        self::assertSame($made['headers'], $links->headers);
    }

    /** @return array<array{array<string, mixed>}> */
    public static function refused(): array
    {
        return self::rows('links', 'refused');
    }

    /** @param array<string, mixed> $refused */
    #[DataProvider('refused')]
    public function testWhatNoLinkCanCarryIsRefusedWithoutTheAddress(array $refused): void
    {
        try {
            self::minter('with_mail')->mint($refused['address'], $refused['topic'], $refused['message_id']);
            self::fail('not refused');
        } catch (\InvalidArgumentException $error) {
            self::assertStringNotContainsString('@', str_replace('name@example.com', '', $error->getMessage()));
        }
    }

    public function testBytesThatAreNoTextAreRefused(): void
    {
        $this->expectException(\InvalidArgumentException::class);
        self::minter('with_mail')->mint("a\xff@example.com", 'acme.offers');
    }

    public function testATextThatIsNoKeyIsRefusedAndNeverShown(): void
    {
        foreach (self::contract()['links']['not_keys'] as $text) {
            try {
                new LinkMinter($text);
                self::fail('not refused');
            } catch (\InvalidArgumentException $error) {
                self::assertStringContainsString('not a link key', $error->getMessage());
                self::assertTrue($text === '' || !str_contains((string) $error, $text));
            }
        }
    }

    public function testAMinterListsItsTopicsAndShowsNoSecret(): void
    {
        $minter = self::minter('with_mail');
        self::assertSame(self::contract()['links']['topics'], $minter->topics());
        self::assertStringNotContainsString('Siv', print_r($minter, true));
    }

    /** @return array<array{array<string, mixed>}> */
    public static function retries(): array
    {
        return self::rows('retries', 'cases');
    }

    /** @param array<string, mixed> $case */
    #[DataProvider('retries')]
    public function testItRetriesAsEveryClient(array $case): void
    {
        $retryAfter = Retries::parseRetryAfter($case['retry_after'] ?? null, $case['now'] ?? 0);
        $delay = static fn (float $drawn): ?float => Retries::delayAfter(
            $case['status'],
            $retryAfter,
            $case['attempt'],
            $case['seconds_left'],
            $drawn,
        );
        self::assertEquals($case['wait'] ?? [null, null], [$delay(1), $delay(0)]);
    }

    /** @return array<array{array<string, mixed>}> */
    public static function unanswered(): array
    {
        return self::rows('unanswered', 'cases');
    }

    /** @param array<string, mixed> $case */
    #[DataProvider('unanswered')]
    public function testADecisionThatIsNotMadeIsThatOfEveryClient(array $case): void
    {
        $errors = [];
        $start = static function () use ($case, &$errors) {
            $answer = match ($case['failure']) {
                'no_connection', 'time_out' => new TransportError($case['failure']),
                'unreadable' => new Response(200, '<html>sign in</html>'),
                default => Stub::json($case['failure'], ['detail' => 'no']),
            };
            return (new Stub([$answer]))->client(
                serviceTypes: ['password_reset'],
                onUnanswered: static function ($error) use (&$errors): void {
                    $errors[] = $error;
                },
            );
        };
        $rule = self::contract()['unanswered']['rule'];
        self::assertEquals(new Decision(true, $rule), $start()->decide('password_reset', 'ada@example.com'));
        self::assertCount(1, $errors);
        if ($case['marketing'] === 'error') {
            $this->expectException(ApiError::class);
        }
        $denied = new Decision(false, $rule);
        $asked = $start()->decideAll('offers.weekly', ['ada@example.com', 'eve@example.com']);
        self::assertEquals([$denied, $denied], $asked);
        self::assertInstanceOf(Unavailable::class, $errors[1]);
        self::assertStringNotContainsString('@', $errors[1]->getMessage());
    }

    /** @return array<array{array<string, mixed>}> */
    public static function answered(): array
    {
        return self::rows('answered', 'cases');
    }

    /** @param array<string, mixed> $case */
    #[DataProvider('answered')]
    public function testAServiceMessageIsAskedAboutToo(array $case): void
    {
        $stub = new Stub([Stub::json(200, ['as_of' => '1.2.3', 'decisions' => [$case]])]);
        $decision = $stub->client(serviceTypes: ['password_reset'])->decide('password_reset', 'ada@example.com');
        self::assertEquals(new Decision($case['allow'], $case['rule']), $decision);
        self::assertCount(1, $stub->requests);
    }

    public function testItsLimitsAreThoseOfEveryClient(): void
    {
        $limits = static fn (Limits $each): array => ['attempt' => $each->attempt, 'call' => $each->call];
        $expected = self::contract()['time_outs'];
        self::assertEquals($expected['read'], $limits(Limits::ofReads()));
        self::assertEquals($expected['write'], $limits(Limits::ofWrites()));
        self::assertSame(self::contract()['retries']['attempts'], Retries::ATTEMPTS);
    }
}
